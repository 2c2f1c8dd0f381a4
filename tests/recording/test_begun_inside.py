"""Recordings that begin inside running code, or resume code that another recording entered."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from tests.recording.recorder import MONITORING, Kind, Recorder, imported

pytestmark = pytest.mark.since(3, 12)

PROGRAM = """\
def through(steps, flag):
    for step in steps:
        step()
    if flag:
        flag = 0
    return flag

def counting(flag):
    if flag:
        yield 1; flag = 0
    yield 2; flag = 1
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "begun_inside.py").write_text(PROGRAM)
    with imported(tmp_path, "begun_inside") as module:
        yield module


@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_lines_run_before_the_code_was_entered_belong_to_no_recording(
    program: ModuleType, kind: Kind, tmp_path: Path
) -> None:
    with Recorder(kind, tmp_path) as recorder:
        assert recorder.ran(program.through, [], False).lines == {("begun_inside.py", number) for number in (2, 4, 6)}
        begun = []

        def begin() -> None:
            begun.append(recorder.engine.begin())
            recorder.variable.set(begun[0])

        program.through([begin], True)
        recorder.variable.set(None)
        recorder.engine.end(begun[0])
        assert not begun[0].executed()
        assert recorder.ran(program.through, [], False).lines == {("begun_inside.py", number) for number in (2, 4, 6)}


@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_what_follows_a_yield_on_its_line_is_seen_by_each_recording_that_resumes_there(
    program: ModuleType, kind: Kind, tmp_path: Path
) -> None:
    with Recorder(kind, tmp_path) as recorder, recorder.recording() as first, recorder.recording() as second:
        with recorder.under(first):
            one, other = program.counting(True), program.counting(True)
            next(one), next(other)
        with recorder.under(second):
            next(program.counting(False))
        with recorder.under(first):
            next(one)  # both have entered the code, but only this one has run the line
        with recorder.under(second):
            next(other)
        assert second.executed().lines == {"begun_inside.py": {9, 10, 11}}


@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_what_follows_the_yield_that_code_was_met_at_is_seen_beside_a_recording_that_never_enters_it(
    program: ModuleType, kind: Kind, tmp_path: Path
) -> None:
    met = program.counting(True)
    next(met)  # it waits at line 10 before anybody records
    with Recorder(kind, tmp_path) as recorder, recorder.recording():
        with recorder.recording():
            next(met)
        with recorder.recording() as recording:
            other = program.counting(False)
            next(other)
            one = program.counting(True)
            with recorder.under(None):
                next(one)
            next(one)
        assert recording.executed().lines == {"begun_inside.py": {9, 10, 11}}


@pytest.mark.parametrize("kind", [each for each in MONITORING if each.values[0].rearming != "toggles"], ids=str)
def test_code_entered_just_before_a_restart_is_rearmed_as_without_one(
    program: ModuleType, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restart = sys.monitoring.restart_events
    before_it: list[Callable[[], object]] = []

    def restart_afterwards() -> None:
        while before_it:
            before_it.pop()()
        restart()

    monkeypatch.setattr(sys.monitoring, "restart_events", restart_afterwards)
    with Recorder(kind, tmp_path) as recorder, recorder.recording() as first, recorder.recording() as second:
        for recording in (first, second):
            with recorder.under(recording):
                list(program.counting(False))  # its start is off now, so that there is something to restart for
        with recorder.under(first):
            program.through([], False)  # its lines are off now, but not its start

        def enter() -> None:
            with recorder.under(second):
                program.through([], False)

        before_it.append(enter)
        with recorder.recording():
            assert not before_it
        assert second.executed().lines == {"begun_inside.py": {2, 4, 6, 9, 11}}


@pytest.mark.parametrize("kind", [each for each in MONITORING if each.values[0].backend == "python"], ids=str)
def test_code_that_two_threads_of_a_recording_enter_at_once_is_rearmed_for_both(
    program: ModuleType, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_local_events = sys.monitoring.set_local_events
    before_it: list[Callable[[], object]] = []

    def set_events_afterwards(tool: int, code: CodeType, events: int) -> None:
        if before_it and code is program.through.__code__:
            thread = threading.Thread(target=before_it.pop())
            thread.start()
            thread.join()
        set_local_events(tool, code, events)

    monkeypatch.setattr(sys.monitoring, "set_local_events", set_events_afterwards)
    with Recorder(kind, tmp_path) as recorder, recorder.recording() as first, recorder.recording() as second:
        with recorder.under(first):
            program.through([], False)
            program.through([], True)  # its lines are off now, but not its start

        def enter() -> None:
            with recorder.under(second):
                program.through([], True)

        before_it.append(enter)
        with recorder.under(second):
            program.through([], False)
        assert not before_it
        assert second.executed().lines == {"begun_inside.py": {2, 4, 5, 6}}
