"""Files that change while their code is loaded: names come from the code, or the recording says that they may not."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.recording.recorder import COVERAGE, MONITORING, Kind, Recorder, attempt, imported

BEFORE = """\
def one(): return 1

def other():
    raise KeyError
"""
AFTER = """\
def other():
    raise KeyError

def one(): return 1
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "changing.py").write_text(BEFORE)
    with imported(tmp_path, "changing") as module:
        yield module


def change(module: ModuleType) -> None:
    """Another size, and so another stamp even where the clock is coarse; no bytecode of before is taken for it."""
    Path(str(module.__file__)).write_text(AFTER + "# changed\n")


@pytest.mark.since(3, 12)
@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_functions_have_the_names_of_what_is_loaded(program: ModuleType, kind: Kind, tmp_path: Path) -> None:
    with Recorder(kind, tmp_path) as recorder:
        change(program)
        assert recorder.ran(program.one).functions == {("changing.py", "one", 1)}
        importlib.reload(program)
        assert recorder.ran(program.one).functions == {("changing.py", "one", 4)}
        assert recorder.ran(program.other).functions == {("changing.py", "other", 1)}


def test_engine_coverage_says_that_names_may_be_those_of_other_code(program: ModuleType, tmp_path: Path) -> None:
    with Recorder(COVERAGE, tmp_path) as recorder:
        assert recorder.ran(program.one).functions == {("changing.py", "one", 1)}
        change(program)
        importlib.reload(program)
        with recorder.recording() as recording:
            attempt(program.other)
        assert recording.executed()
        assert recording.incomplete is not None
        assert recording.incomplete.reason == "source_changed"
        assert str(program.__file__) in recording.incomplete.detail


def test_engine_coverage_says_nothing_of_files_that_were_not_run(program: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "unchanged.py").write_text(BEFORE)
    unchanged = importlib.import_module("unchanged")
    with Recorder(COVERAGE, tmp_path) as recorder:
        recorder.ran(program.one)
        change(program)
        assert recorder.ran(unchanged.one).functions == {("unchanged.py", "one", 1)}
