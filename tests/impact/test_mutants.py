"""What a profile can notice of a random change of the example is noticed by the profiles that are selected for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from otel_coverage import catalog
from otel_coverage.impact.differing import differing
from otel_coverage.impact.recorded import Recorded
from otel_coverage.impact.selection import Selector
from otel_coverage.impact.settings import ImpactSettings
from otel_coverage.reporting.queries import select_revision
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.impact.mutants import mutants
from tests.impact.repository import Repository
from tests.support.examples import examples
from tests.support.spans import TracedSpan, insert_spans

EXAMPLE = Path(__file__).parents[2] / "examples"
COUNT = 64


class Player:
    """Plays the example's profiles; see :mod:`tests.impact.playing`."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.impact.playing", *map(str, sorted((EXAMPLE / "profiles").iterdir()))],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def play(self, folder: Path, *, record: bool = False) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"folder": str(folder), "record": record}) + "\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def close(self) -> None:
        self.process.communicate(timeout=120)  # it ends with its input


def record(store: Store, played: dict[str, Any], revision: str) -> None:
    """Insert what each profile executed, and what ran before the first of them."""
    spans = []
    for second, (name, functions) in enumerate(sorted(played["functions"].items())):
        of_start = {"profile": "_startup", "run": "", "role": "startup"} if name.startswith(" ") else {"profile": name}
        spans.append(
            TracedSpan(
                id=f"s{second}",
                trace=f"t{second}",
                revision=revision,
                functions=functions,
                lines=played["lines"][name],
                second=second,
            ).but(**of_start)
        )
    insert_spans(store, *spans)


@pytest.mark.timeout(900)
def test_the_selected_profiles_notice_every_change_that_any_profile_notices(store: Store, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    shutil.copytree(EXAMPLE / "shop", repository.folder / "shop", ignore=shutil.ignore_patterns("__pycache__"))
    base = repository.commit()
    tree = SourceTree([str(repository.folder / "shop")])
    with closing(Player()) as player:
        usual = player.play(repository.folder, record=True)
        catalog.push(store, catalog.build(tree), base)
        record(store, usual, base)
        recorded = Recorded.read(select_revision(store))
        assert len(recorded.profiles) == 7

        missed: list[str] = []
        spared = noticed = caught = 0
        for mutant in mutants(repository.folder / "shop", examples(COUNT), seed=15):
            before = mutant.file.read_text()
            mutant.file.write_text(mutant.source)
            selector = Selector(recorded, tree, repository.folder, ImpactSettings(), repository.folder)
            impact = selector.select(differing(repository.folder, base))
            spared += len(impact.spared)
            if impact.spared:  # whoever replays all misses nothing
                played = player.play(repository.folder)
                answers = played.get("answers", {})
                noticing = {name for name in recorded.profiles if answers.get(name) != usual["answers"][name]}
                if "killed" in played:  # in an endless loop of some profile; which one is not known
                    noticing &= {*impact.selected}
                noticed += bool(noticing)
                caught += bool(noticing & {*impact.selected})
                if not noticing <= {*impact.selected}:
                    missed.append(f"{mutant.what}: by {sorted(noticing)}, selected {[*impact.selected]}")
            mutant.file.write_text(before)
    share = spared / (examples(COUNT) * len(recorded.profiles))
    print(
        f"{examples(COUNT)} mutants: {share:.0%} of the profiles spared, {caught} of {noticed} noticed where some were"
    )
    assert not missed
    assert caught == noticed > 10
    assert share > 0.25
