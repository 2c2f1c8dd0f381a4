"""Whatever carries the context carries the recording: threads, pools, tasks, greenlets."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.threading import ThreadingInstrumentor

from otel_coverage.recording import CurrentRecording, Recording, open_engine
from otel_coverage.source import SourceTree
from tests.recording.oracle import Oracle, Ran, Step
from tests.recording.recorder import COVERAGE, ENGINES, Kind, Recorder, imported

PROGRAM = """
import asyncio
import threading

def work(n):
    if n % 2:
        return helper(n)
    return [helper(n), other(n)]

def helper(n): return n

def other(n):
    return n

async def request(n):
    await asyncio.sleep(0)
    found = work(n)
    async with guard(n):
        await asyncio.gather(part(n), part(n + 1))
    return [number async for number in counting(n)] or found

class guard:
    def __init__(self, n):
        self.n = n
    async def __aenter__(self):
        await asyncio.sleep(0)
    async def __aexit__(self, *error):
        if self.n > 1:
            other(self.n)

async def part(n):
    await asyncio.sleep(0)
    return helper(n)

async def counting(n):
    for number in range(n):
        await asyncio.sleep(0)
        yield number
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "carried.py").write_text(PROGRAM)
    with imported(tmp_path, "carried") as module:
        yield module


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_tasks_that_take_turns_on_one_loop_are_exact(
    program: ModuleType, engine: Kind, oracle: Oracle, tmp_path: Path
) -> None:
    expected = oracle.ask(tmp_path, "carried", [Step(f"{n}", "run", "request", (n,)) for n in range(4)])

    async def serve(n: int) -> tuple[int, Ran]:
        with recorder.recording() as recording:
            await recorder.engine.drive(recording, program.request(n))
        assert recording.incomplete is None
        return n, Ran.of(recording.executed())

    async def serve_all() -> list[tuple[int, Ran]]:
        untraced = [program.request(n) for n in range(4)]
        others = asyncio.gather(*untraced)
        served = await asyncio.gather(*(serve(n % 4) for n in range(60)))
        await others
        return served

    with Recorder(engine, tmp_path) as recorder:
        for n, ran in asyncio.run(serve_all()):
            assert ran.difference(expected[f"{n}"]) == {}, n


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_threads_and_pools_that_opentelemetry_instruments_work_for_the_recording(
    program: ModuleType, engine: Kind, tmp_path: Path
) -> None:
    key = otel_context.create_key("recording")
    runtime: Any = otel_context._RUNTIME_CONTEXT
    current = CurrentRecording(runtime._current_context, key)
    expected = Ran(
        frozenset({("carried.py", "work", 5), ("carried.py", "helper", 10), ("carried.py", "other", 12)}),
        frozenset(("carried.py", line) for line in (6, 7, 8, 10, 13)),
    )

    def followed(function: Callable[[int], object], n: int) -> None:
        recording = current.get()
        assert recording is not None
        with opened.follow(recording):
            function(n)

    ThreadingInstrumentor().instrument()
    opened = open_engine(engine.choice, "line", SourceTree([str(tmp_path)]), current)
    try:
        with ThreadPoolExecutor(2) as early:
            early.submit(program.work, 2).result()  # its threads exist before anything is recorded
            for _ in range(3):
                recording = opened.begin()
                token = otel_context.attach(otel_context.set_value(key, recording))
                thread = threading.Thread(target=followed, args=(program.work, 1))
                thread.start()
                thread.join()
                early.submit(followed, program.work, 2).result()
                otel_context.detach(token)
                early.submit(program.other, 3).result()
                opened.end(recording)
                assert recording.incomplete is None
                assert Ran.of(recording.executed()).difference(expected) == {}
            recording = opened.begin()
            token = otel_context.attach(otel_context.set_value(key, recording))
            early.submit(followed, program.other, 1).result()
            with ThreadPoolExecutor(1) as late:
                late.submit(followed, program.helper, 1).result()
            otel_context.detach(token)
            opened.end(recording)
            assert {name for _, name, _ in Ran.of(recording.executed()).functions} == {"other", "helper"}
    finally:
        opened.close()
        ThreadingInstrumentor().uninstrument()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_thread_that_follows_two_recordings_in_turns_keeps_them_apart(
    program: ModuleType, engine: Kind, tmp_path: Path
) -> None:
    with Recorder(engine, tmp_path) as recorder, ThreadPoolExecutor(1) as pool:

        def follow(recording: Recording, function: Callable[[int], object]) -> None:
            with recorder.under(recording), recorder.engine.follow(recording):
                function(1)
            program.work(2)  # untraced

        for _ in range(3):
            with recorder.recording() as first:
                pool.submit(follow, first, program.helper).result()
                with recorder.recording() as second:
                    pool.submit(follow, second, program.other).result()
                    pool.submit(follow, first, program.helper).result()
            assert (first.incomplete, second.incomplete) == (None, None)
            assert [{name for _, name, _ in Ran.of(each.executed()).functions} for each in (first, second)] == [
                {"helper"},
                {"other"},
            ]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_following_a_recording_that_ended_records_nothing(program: ModuleType, engine: Kind, tmp_path: Path) -> None:
    with Recorder(engine, tmp_path) as recorder:
        with recorder.recording() as recording:
            program.helper(1)
        with recorder.under(recording), recorder.engine.follow(recording):
            program.other(1)
        assert recording.incomplete is None
        assert {name for _, name, _ in Ran.of(recording.executed()).functions} == {"helper"}
        assert sys.gettrace() is None


def test_engine_coverage_stops_tracing_where_followed_work_raises(program: ModuleType, tmp_path: Path) -> None:
    with Recorder(COVERAGE, tmp_path) as recorder, ThreadPoolExecutor(1) as pool:

        def fail(recording: Recording) -> None:
            with pytest.raises(ZeroDivisionError), recorder.under(recording), recorder.engine.follow(recording):
                program.helper(1 / 0)
            assert sys.gettrace() is None
            program.work(1)

        with recorder.recording() as recording:
            pool.submit(fail, recording).result()
        assert recording.incomplete is None
        assert Ran.of(recording.executed()) == Ran()


def test_engine_coverage_says_that_the_context_did_not_arrive_on_another_thread(
    program: ModuleType, tmp_path: Path
) -> None:
    with Recorder(COVERAGE, tmp_path) as recorder, ThreadPoolExecutor(1) as pool:

        def work(recording: Recording) -> None:
            with recorder.engine.follow(recording):
                program.work(1)

        with recorder.recording() as recording:
            pool.submit(work, recording).result()
        assert recording.incomplete is not None
        assert recording.incomplete.reason == "context_lost"
        assert Ran.of(recording.executed()) == Ran()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_greenlets_that_take_turns_are_exact_or_incomplete(engine: Kind, oracle: Oracle, tmp_path: Path) -> None:
    (tmp_path / "green.py").write_text(
        "import time\n\ndef request(n):\n    for number in range(n):\n        step(number)\n"
        "        time.sleep(0)\n    return helper(n) if n % 2 else n\n\ndef step(n):\n    if n == 2:\n"
        "        time.sleep(0)\n    return n\n\ndef helper(n): return n\n"
    )
    expected = oracle.ask(tmp_path, "green", [Step(f"{n}", "call", "request", (n,)) for n in range(5)])
    command = [sys.executable, "-m", "tests.recording.gevent_process", str(tmp_path), engine.choice, engine.backend]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    served = json.loads(done.stdout)
    assert len(served) == 50
    for n, functions, lines, reason in served:
        if engine is COVERAGE:
            assert "greenlets" in reason
        else:
            ran = Ran(frozenset(map(tuple, functions)), frozenset(map(tuple, lines)))
            assert (ran.difference(expected[f"{n}"]), reason) == ({}, None)
