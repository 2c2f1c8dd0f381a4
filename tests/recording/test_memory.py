"""Recordings leave no memory behind, with either backend."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import tracemalloc
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

from otel_coverage.recording import Recording
from tests.recording.recorder import MONITORING, Kind, Recorder, imported

pytestmark = pytest.mark.since(3, 12)

PROGRAM = "".join(f"def f{number}(n):\n    if n:\n        return n\n    return {number}\n\n\n" for number in range(520))


@pytest.fixture
def program(tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "program.py").write_text(PROGRAM)
    with imported(tmp_path, "program") as module:
        yield module


def lines_of(program: ModuleType, name: str) -> set[int]:
    """The lines that ``name(1)`` runs."""
    first = getattr(program, name).__code__.co_firstlineno
    return {first + 1, first + 2}


@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_a_hundred_thousand_recordings_leave_no_memory_behind(program: ModuleType, kind: Kind, tmp_path: Path) -> None:
    with Recorder(kind, tmp_path) as recorder:

        def record(times: int) -> None:
            for time in range(times):
                with recorder.recording():
                    program.f0(time % 2)
                    if time % 10 == 0:
                        program.f1(1)

        record(500)
        gc.collect()
        tracemalloc.start()
        try:
            record(100)
            before = tracemalloc.get_traced_memory()[0]
            record(100_000 if kind.rearming == "toggles" else 10_000)
            gc.collect()
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    assert after - before < 100_000  # the smallest object a recording could leave behind adds up to more


@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_code_that_was_recorded_is_freed_with_the_module_that_is_reloaded(kind: Kind, tmp_path: Path) -> None:
    filename = str(tmp_path / "reloaded.py")
    freed: list[weakref.ref[CodeType]] = []
    with Recorder(kind, tmp_path) as recorder:
        for _ in range(3):
            namespace: dict[str, Any] = {}
            code = compile("def reloaded(n):\n    yield (lambda: n)()\n", filename, "exec")
            exec(code, namespace)
            function = namespace["reloaded"]
            with recorder.recording() as recording:
                list(function(1))
            assert recording.executed().functions
            freed += [weakref.ref(code), weakref.ref(function.__code__)]
            freed += [weakref.ref(part) for part in function.__code__.co_consts if isinstance(part, CodeType)]
            del code, function, recording
            namespace.clear()
        gc.collect()
        assert [reference() for reference in freed] == [None] * 9


@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_code_of_an_open_recording_is_kept_until_its_name_is_known(kind: Kind, tmp_path: Path) -> None:
    namespace: dict[str, Any] = {}
    exec(compile("def passing(): pass\n", str(tmp_path / "passing.py"), "exec"), namespace)
    with Recorder(kind, tmp_path) as recorder:
        with recorder.recording() as recording:
            namespace.pop("passing")()
            gc.collect()
        assert {symbol.qualname for symbol in recording.executed().functions} == {"passing"}


@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_five_hundred_recordings_at_once_are_kept_apart(program: ModuleType, kind: Kind, tmp_path: Path) -> None:
    draw = random.Random(500)
    with Recorder(kind, tmp_path) as recorder:
        for count in (3, 500, 70, 2):  # the crowd comes, goes, and comes again
            opened: list[tuple[Recording, set[str]]] = []
            with ExitStack() as stack:
                for number in range(count):
                    recording = recorder.engine.begin()
                    stack.callback(recorder.engine.end, recording)
                    names = {f"f{number}", "f510", f"f{511 + number % 7}"}
                    opened.append((recording, names))
                    with recorder.under(recording):
                        for name in sorted(names):
                            getattr(program, name)(1)
                for recording, names in draw.sample(opened, len(opened)):
                    extra = f"f{draw.randrange(520)}"
                    names.add(extra)
                    with recorder.under(recording):
                        getattr(program, extra)(1)
                    if draw.random() < 0.5:
                        recorder.engine.end(recording)
            for recording, names in opened:
                executed = recording.executed()
                assert {symbol.qualname for symbol in executed.functions} == names
                assert executed.lines["program.py"] == set().union(*(lines_of(program, name) for name in names))


@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_when_the_interpreter_can_restart_no_more_recording_goes_on(
    program: ModuleType, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def restart_events() -> None:
        raise OverflowError("events set too many times")

    monkeypatch.setattr(sys.monitoring, "restart_events", restart_events)
    with Recorder(kind, tmp_path) as recorder:
        for _ in range(5):
            with recorder.recording() as recording:
                program.f0(1)
                program.f1(1)
            if recording.incomplete is None:
                assert {symbol.qualname for symbol in recording.executed().functions} == {"f0", "f1"}
                assert recording.executed().lines["program.py"] == lines_of(program, "f0") | lines_of(program, "f1")
            else:
                assert kind.rearming == "single_tool"  # which needs restarts


def test_callbacks_without_references_are_freed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("def f(): pass\n")
    for kind in MONITORING:
        with imported(tmp_path, "program") as program:
            recorder = Recorder(kind.values[0], tmp_path)
            with recorder, recorder.recording():
                program.f()
            engine = weakref.ref(recorder.engine)
            del recorder
            gc.collect()
            assert engine() is None


def test_an_interpreter_ends_well_with_recordings_open(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("def f(n):\n    for step in range(n):\n        yield step\n")
    script = """
import sys
from contextvars import ContextVar
from otel_coverage.recording import CurrentRecording, open_engine
from otel_coverage.source import SourceTree
variable = ContextVar("recording")
engine = open_engine("monitoring", "line", SourceTree(["."]), CurrentRecording(variable))
variable.set(engine.begin())
import program
running = program.f(3)
next(running)
print(len(variable.get().executed().functions))
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
