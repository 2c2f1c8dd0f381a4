"""The proof that these tests bite stays applicable; running it takes minutes, and is done by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.recording.mutations import MUTATIONS, ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_rule_that_the_proof_takes_out_is_in_the_source(mutation: Mutation, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "otel_coverage" / "recording", tmp_path / "otel_coverage" / "recording")
    mutation.apply(tmp_path)
    if mutation.file.endswith(".py"):
        compile((tmp_path / "otel_coverage" / "recording" / mutation.file).read_text(), mutation.file, "exec")
