"""The proof that these tests bite stays applicable; running it takes minutes, and is done by hand."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.recording.mutations import MUTATIONS, RECORDING, ROOT, Mutation, Source, sources
from tests.recording.test_c_build import COMPILER, HAS_COMPILER, run


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_rule_that_the_proof_takes_out_is_in_the_source(mutation: Mutation, tmp_path: Path) -> None:
    shutil.copytree(ROOT / RECORDING, tmp_path / RECORDING)
    changed = mutation.apply(tmp_path)
    before = Source(ROOT / changed.relative_to(tmp_path)).lines
    assert changed.read_text().splitlines() != before
    if not mutation.in_c:
        compile(changed.read_text(), changed.name, "exec")
    elif HAS_COMPILER and sys.version_info >= (3, 12):
        include = f"-I{sysconfig.get_path('include')}"
        run(*COMPILER, "-fsyntax-only", "-Werror=implicit", include, str(changed), cwd=tmp_path)


def test_each_rule_that_the_source_marks_is_taken_out_by_the_proof() -> None:
    marked = {(source.is_c, name.partition("/")[0]) for source in sources(ROOT) for name in source.marks}
    assert marked == {(mutation.in_c, mutation.rule) for mutation in MUTATIONS}


def test_the_lines_of_a_rule_are_found_at_its_markers(tmp_path: Path) -> None:
    path = tmp_path / "marked.c"
    path.write_text("a; /* rule: one */\n/* rule: two/part, three */\nb;\nc; /* no rule */\n")
    source = Source(path)
    assert source.lines == ["a;", "b;", "c; /* no rule */"]
    assert source.marks == {"one": [0], "two/part": [1], "three": [1]}
