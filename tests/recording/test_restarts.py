"""``sys.monitoring.restart_events()`` can be called 8,388,607 times in a process; recordings go on after that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.recording.oracle import Ran
from tests.recording.recorder import Kind, Recorder, imported

pytestmark = pytest.mark.since(3, 12)

PROGRAM = "def request(n):\n    if n:\n        return 1\n    return 0\n"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "restarted.py").write_text(PROGRAM)
    with imported(tmp_path, "restarted") as module:
        yield module


@pytest.fixture
def _out_of_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    def restart_events() -> None:
        raise OverflowError("events set too many times")

    monkeypatch.setattr(sys.monitoring, "restart_events", restart_events)


def wanted(n: int) -> Ran:
    return Ran(
        frozenset({("restarted.py", "request", 1)}),
        frozenset(("restarted.py", line) for line in ((2, 3) if n else (2, 4))),
    )


@pytest.mark.usefixtures("_out_of_restarts")
def test_when_restarts_have_run_out_code_is_armed_by_toggles(program: ModuleType, tmp_path: Path) -> None:
    with Recorder(Kind("monitoring", "restarts"), tmp_path) as recorder:
        for n in (0, 1, 1, 0):
            assert recorder.ran(program.request, n).difference(wanted(n)) == {}


@pytest.mark.usefixtures("_out_of_restarts")
def test_when_restarts_have_run_out_and_only_one_tool_id_is_ours_recordings_say_so(
    program: ModuleType, tmp_path: Path
) -> None:
    with Recorder(Kind("monitoring", "one tool"), tmp_path) as recorder:
        assert recorder.ran(program.request, 1).difference(wanted(1)) == {}
        for _ in range(2):
            with recorder.recording() as recording:
                program.request(1)
            assert "run out of restarts" in (recording.incomplete_reason or "")
            assert not recording.executed()
