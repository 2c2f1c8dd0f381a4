"""Forked children start empty, whatever their parent was recording."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.recording.oracle import Ran
from tests.recording.recorder import ENGINES, MONITORING, Kind, Recorder, imported

PROGRAM = """
def request(n):
    helper(n)
    return n

def helper(n):
    if n > 1:
        return 1
    return 0
"""

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


@pytest.fixture
def program(tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "forking.py").write_text(PROGRAM)
    with imported(tmp_path, "forking") as module:
        yield module


def expected(n: int) -> Ran:
    lines = (3, 4, 7, 8) if n > 1 else (3, 4, 7, 9)
    return Ran(
        frozenset({("forking.py", "request", 2), ("forking.py", "helper", 6)}),
        frozenset(("forking.py", line) for line in lines),
    )


def in_child(work: Callable[[], object]) -> object:
    """What the work returns in a forked child, which has half a minute for it."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            signal.alarm(30)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(work(), pipe)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    assert answer, "the child died or hung"
    return pickle.loads(answer)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_child_forked_during_a_recording_starts_empty_and_records_its_own(
    program: ModuleType, engine: Kind, tmp_path: Path
) -> None:
    with Recorder(engine, tmp_path) as recorder:
        with recorder.recording() as recording:
            program.request(1)

            def work() -> tuple[Ran, Ran, list[Ran]]:
                inherited = Ran.of(recording.executed())
                program.request(2)
                still = Ran.of(recording.executed())
                recorder.engine.end(recording)
                return inherited, still, [recorder.ran(program.request, n) for n in (1, 2, 1)]

            assert in_child(work) == (Ran(), Ran(), [expected(1), expected(2), expected(1)])
        assert Ran.of(recording.executed()).difference(expected(1)) == {}
        assert recorder.ran(program.request, 2).difference(expected(2)) == {}


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_recording_that_survives_a_fork_ends_in_the_child_and_keeps_what_it_had(
    program: ModuleType, engine: Kind, tmp_path: Path
) -> None:
    with Recorder(engine, tmp_path) as recorder:
        with recorder.recording() as recording:
            recording.survives_fork = True
            program.request(1)

            def work() -> tuple[Ran, Ran]:
                program.request(2)
                return Ran.of(recording.executed()), recorder.ran(program.request, 2)

            assert in_child(work) == (expected(1), expected(2))
            program.request(2)
        assert Ran.of(recording.executed()).lines == expected(1).lines | expected(2).lines


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_nothing_of_the_parents_recording_stays_in_a_child(engine: Kind, tmp_path: Path) -> None:
    path = tmp_path / "made.py"
    made: dict[str, Any] = {}
    exec(compile("def work():\n    return 1\n", str(path), "exec"), made)
    code = weakref.ref(made["work"].__code__)
    with Recorder(engine, tmp_path) as recorder, recorder.recording():
        made["work"]()

        def forgotten() -> bool:
            made.clear()
            gc.collect()
            return code() is None

        assert in_child(forgotten)
        assert code() is not None


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_a_recording_prepared_before_a_fork_begins_in_the_child_and_holds_what_that_runs(
    program: ModuleType, engine: Kind, tmp_path: Path
) -> None:
    with Recorder(engine, tmp_path) as recorder:
        prepared = recorder.engine.prepare()
        assert prepared is not None

        def request(n: int) -> Ran:
            token = recorder.variable.set(prepared)
            program.request(n)
            recorder.variable.reset(token)
            return Ran.of(prepared.executed())

        def work() -> tuple[bool, Ran, Ran]:
            is_open = recorder.engine.open(prepared)
            ran = request(2)
            recorder.engine.end(prepared)
            return is_open, ran, request(1)

        assert request(1) == Ran()  # not open in this process
        for _ in range(2):
            assert in_child(work) == (True, expected(2), expected(2))
        assert request(1) == Ran()
        assert recorder.ran(program.request, 1) == expected(1)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_child_forked_while_threads_begin_and_end_recordings_does_not_hang(
    program: ModuleType, engine: Kind, tmp_path: Path
) -> None:
    stop = threading.Event()
    with Recorder(engine, tmp_path) as recorder:

        def serve() -> None:
            while not stop.is_set():
                recorder.ran(program.request, 1)

        threads = [threading.Thread(target=serve) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(8):
                assert in_child(lambda: recorder.ran(program.request, 2)) == expected(2)
        finally:
            stop.set()
            for thread in threads:
                thread.join()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_process_of_multiprocessing_records_its_own(program: ModuleType, engine: Kind, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with Recorder(engine, tmp_path) as recorder, recorder.recording() as recording:
        program.request(1)
        queue = context.SimpleQueue()

        def work() -> None:
            queue.put((Ran.of(recording.executed()), recorder.ran(program.request, 2)))

        process = context.Process(target=work)
        process.start()
        assert queue.get() == (Ran(), expected(2))
        process.join(30)
        assert process.exitcode == 0
