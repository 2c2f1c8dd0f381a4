"""Signal handlers: what they run is recorded, what they raise arrives, and they may record themselves."""

from __future__ import annotations

import gc
import itertools
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType

import pytest

from otel_coverage.source import SourceFile, SourceTree
from tests.recording.oracle import Ran
from tests.recording.recorder import ENGINES, MONITORING, Kind, Recorder, imported

PROGRAM = """
def handled(n):
    return n

def forever(n):
    while True:
        step(n)

def step(n):
    return [number for number in range(n)]
"""


class TimeIsUpError(Exception):
    """As job timeouts are: an ordinary exception, raised by a signal handler wherever the job happens to be."""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "signalled.py").write_text(PROGRAM)
    before = signal.getsignal(signal.SIGALRM)
    # Other tools' `gc.callbacks` are code, in which a handler may run. What it raises there is lost; and until 3.11
    # they are called in the middle of `ContextVar.set`, which uses what is freed where the handler sets one, too.
    gc.disable()
    with imported(tmp_path, "signalled") as module:
        yield module
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    gc.enable()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_an_exception_that_a_handler_raises_always_arrives(program: ModuleType, engine: Kind, tmp_path: Path) -> None:
    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        raise TimeIsUpError

    def run_until_the_alarm() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        program.forever(3)

    signal.signal(signal.SIGALRM, on_alarm)
    with Recorder(engine, tmp_path) as recorder:
        idle = recorder.engine.begin()  # keeps events on
        for _ in range(40):
            with recorder.recording(), pytest.raises(TimeIsUpError):
                run_until_the_alarm()
        recorder.engine.end(idle)
        found = {name for _, name, _ in recorder.ran(program.step, 1).functions}
        assert found == {"step"}


def recorded(recorder: Recorder, function: Callable[[int], object]) -> Ran:
    """What one call runs; whether it is known to be all does not matter here."""
    with recorder.recording() as recording:
        function(1)
    return Ran.of(recording.executed())


@pytest.mark.filterwarnings("error:Exception ignored in PyEval_SetTrace:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_handler_may_begin_and_end_recordings_of_its_own(program: ModuleType, engine: Kind, tmp_path: Path) -> None:
    inner: list[Ran] = []
    with Recorder(engine, tmp_path) as recorder:

        def on_alarm(_number: int, _frame: FrameType | None) -> None:
            if len(inner) < 20:
                inner.append(recorded(recorder, program.handled))

        recorder.ran(program.handled, 1)
        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        turns = itertools.takewhile(lambda _: len(inner) < 20, range(100_000))
        outer = [recorded(recorder, program.step) for _ in turns]
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(inner) >= 20
    assert threading.current_thread() is threading.main_thread()
    assert {name for ran in outer for _, name, _ in ran.functions} == {"step"}
    # A handler that runs while events are off, because it interrupted the recorder itself, records less; never more.
    assert {name for ran in inner for _, name, _ in ran.functions} <= {"handled"}


@pytest.mark.since(3, 12)
@pytest.mark.parametrize("engine", [kind for kind in MONITORING if kind.values[0].backend == "c"], ids=str)
def test_what_runs_while_the_recorder_looks_a_file_up_is_recorded(
    program: ModuleType, engine: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = str(tmp_path / "later.py")
    namespace: dict[str, Callable[[], int]] = {}
    exec(compile("def met_later():\n    return 1\n", later, "exec"), namespace)
    located = SourceTree.locate
    looked_up: list[str] = []

    def locate(tree: SourceTree, filename: str) -> SourceFile | None:
        looked_up.append(filename)
        if filename == later and looked_up.count(filename) == 1:
            signal.raise_signal(signal.SIGALRM)  # as garbage may be collected, with finalizers of the application's
        return located(tree, filename)

    monkeypatch.setattr(SourceTree, "locate", locate)
    signal.signal(signal.SIGALRM, lambda _number, _frame: program.handled(1))
    with Recorder(engine, tmp_path) as recorder:
        first, second = recorder.ran(namespace["met_later"]), recorder.ran(namespace["met_later"])
    assert first.lines == {("later.py", 2), ("signalled.py", 3)}
    assert {name for _, name, _ in first.functions} == {"met_later", "handled"}
    assert second.lines == {("later.py", 2)}
    assert looked_up.count(__file__) == 1
