"""Requests that take turns in an event loop: each recording holds what coverage.py finds of its request alone."""

from __future__ import annotations

import asyncio
import contextvars
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import greenlet  # type: ignore[import-untyped]
import pytest

from tests.recording.oracle import Oracle, Ran, Step
from tests.recording.recorder import COVERAGE, ENGINES, Kind, Recorder, imported

PROGRAM = Path(__file__).parent.parent / "data" / "programs" / "loops.py"
WAYS = [
    "turns",
    "gathers",
    "makes_tasks",
    "uses_a_queue",
    "holds",
    "generates",
    "leaves_a_generator",
    "calls_back",
    "is_cancelled",
    "fails",
    "recurses",
    "watches_a_pipe",
    "is_awaitable",
    pytest.param("groups", marks=pytest.mark.since(3, 11)),
    pytest.param("eager", marks=pytest.mark.since(3, 12)),
]
Serve = Callable[[str, int], Awaitable[tuple[str, Ran]]]


@pytest.fixture
def loops(tmp_path: Path) -> Iterator[ModuleType]:
    shutil.copy(PROGRAM, tmp_path)
    with imported(tmp_path, "loops") as module:
        yield module


def served(recorder: Recorder, program: ModuleType, requests: list[tuple[str, int]]) -> list[tuple[str, Ran]]:
    """What each request ran, all of them at once in one loop, with as many that nobody traces beside them."""

    async def serve(function: str, n: int) -> tuple[str, Ran]:
        with recorder.recording() as recording:
            await recorder.engine.drive(recording, getattr(program, function)(n))
        assert recording.incomplete is None
        return f"{function} {n}", Ran.of(recording.executed())

    async def serve_all() -> list[tuple[str, Ran]]:
        untraced = [asyncio.create_task(getattr(program, function)(n)) for function, n in requests]
        found = await asyncio.gather(*(serve(function, n) for function, n in requests))
        await asyncio.gather(*untraced)
        assert not any(name in vars(asyncio.get_running_loop()) for name in ("call_soon", "call_at", "_add_reader"))
        return found

    return asyncio.run(serve_all())


def alone(oracle: Oracle, folder: Path, requests: list[tuple[str, int]]) -> dict[str, Ran]:
    steps = [Step(f"{function} {n}", "run", function, (n,)) for function, n in dict.fromkeys(requests)]
    return dict(oracle.ask(folder, "loops", steps))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_requests_that_take_turns_are_exact_whatever_they_wait_for(
    loops: ModuleType, engine: Kind, way: str, oracle: Oracle, tmp_path: Path
) -> None:
    requests = [(way, n % 4) for n in range(8)]
    expected = alone(oracle, tmp_path, requests)
    with Recorder(engine, tmp_path) as recorder:
        for name, ran in served(recorder, loops, requests):
            assert ran.difference(expected[name]) == {}, name
    assert sys.gettrace() is None


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_requests_of_all_kinds_take_turns_and_are_exact(
    loops: ModuleType, engine: Kind, oracle: Oracle, tmp_path: Path
) -> None:
    requests = [(way, n) for way in WAYS if isinstance(way, str) for n in range(4)]
    expected = alone(oracle, tmp_path, requests)
    with Recorder(engine, tmp_path) as recorder:
        for name, ran in served(recorder, loops, requests):
            assert ran.difference(expected[name]) == {}, name


def test_the_arcs_of_requests_that_take_turns_are_those_of_coverage_py(
    loops: ModuleType, oracle: Oracle, tmp_path: Path
) -> None:
    requests = [(way, n) for way in ("turns", "gathers", "holds", "generates", "fails", "recurses") for n in range(4)]
    steps = [Step(f"{function} {n}", "run", function, (n,)) for function, n in requests]
    expected = oracle.ask_arcs(tmp_path, "loops", steps, "ctrace")

    async def serve(recorder: Recorder, function: str, n: int) -> tuple[str, Any]:
        with recorder.recording() as recording:
            await recorder.engine.drive(recording, getattr(loops, function)(n))
        return f"{function} {n}", recording.executed().arcs

    async def serve_all(recorder: Recorder) -> list[tuple[str, Any]]:
        return await asyncio.gather(*(serve(recorder, function, n) for function, n in requests))

    with Recorder(COVERAGE, tmp_path, branch=True) as recorder:
        for name, arcs in asyncio.run(serve_all(recorder)):
            assert arcs == expected[name], name


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_loop_that_a_recorded_function_runs_is_recorded_as_a_whole(
    loops: ModuleType, engine: Kind, oracle: Oracle, tmp_path: Path
) -> None:
    expected = alone(oracle, tmp_path, [("makes_tasks", 3)])
    with Recorder(engine, tmp_path) as recorder:
        ran = recorder.ran(lambda: asyncio.run(loops.makes_tasks(3)))
    assert ran.difference(expected["makes_tasks 3"]) == {}


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_recorded_request_that_awaits_another_leaves_that_ones_code_to_it(
    loops: ModuleType, engine: Kind, oracle: Oracle, tmp_path: Path
) -> None:
    expected = alone(oracle, tmp_path, [("turns", 3), ("gathers", 3), ("fails", 1)])

    async def outer(recorder: Recorder) -> Ran:
        await loops.turns(3)
        with recorder.recording() as inner:
            await recorder.engine.drive(inner, loops.gathers(3))
        await loops.fails(1)
        return Ran.of(inner.executed())

    async def serve(recorder: Recorder) -> tuple[Ran, Ran]:
        with recorder.recording() as recording:
            inner = await recorder.engine.drive(recording, outer(recorder))
        assert recording.incomplete is None
        return Ran.of(recording.executed()), inner

    async def serve_all(recorder: Recorder) -> list[tuple[Ran, Ran]]:
        return await asyncio.gather(*(serve(recorder) for _ in range(4)))

    with Recorder(engine, tmp_path) as recorder:
        for ran, inner in asyncio.run(serve_all(recorder)):
            assert ran.difference(expected["turns 3"] | expected["fails 1"]) == {}
            assert inner.difference(expected["gathers 3"]) == {}


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_synchronous_code_that_is_recorded_inside_of_a_loop_is_exact(
    loops: ModuleType, engine: Kind, tmp_path: Path
) -> None:
    async def serve(recorder: Recorder) -> Ran:
        await asyncio.sleep(0)
        return recorder.ran(loops.after, 1)

    with Recorder(engine, tmp_path) as recorder:
        ran = asyncio.run(serve(recorder))
    assert {name for _, name, _ in ran.functions} == {"after", "called"}


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_recording_that_nobody_drives_stays_apart_from_what_takes_turns_with_it(
    loops: ModuleType, engine: Kind, oracle: Oracle, tmp_path: Path
) -> None:
    expected = alone(oracle, tmp_path, [("turns", 3), ("gathers", 2)])

    async def serve(recorder: Recorder, function: str, n: int) -> tuple[str, Ran]:
        with recorder.recording() as recording:
            await getattr(loops, function)(n)
        return f"{function} {n}", Ran.of(recording.executed())

    async def serve_all(recorder: Recorder) -> list[tuple[str, Ran]]:
        return await asyncio.gather(*(serve(recorder, *one) for one in [("turns", 3), ("gathers", 2)] * 3))

    with Recorder(engine, tmp_path) as recorder:
        for name, ran in asyncio.run(serve_all(recorder)):
            assert ran.difference(expected[name]) == {}, name


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_task_that_outlives_its_recording_adds_nothing_to_it(loops: ModuleType, engine: Kind, tmp_path: Path) -> None:
    async def start(n: int) -> asyncio.Task[Any]:
        return asyncio.create_task(loops.part(n))

    async def serve(recorder: Recorder) -> Ran:
        with recorder.recording() as recording:
            task = await recorder.engine.drive(recording, start(1))
        await task
        return Ran.of(recording.executed())

    with Recorder(engine, tmp_path) as recorder:
        assert asyncio.run(serve(recorder)) == Ran()


def test_between_steps_engine_coverage_traces_nothing(loops: ModuleType, tmp_path: Path) -> None:
    async def serve(recorder: Recorder) -> None:
        with recorder.recording() as recording:
            await recorder.engine.drive(recording, loops.turns(5))

    async def serve_all(recorder: Recorder) -> list[object]:
        task = asyncio.create_task(serve(recorder))
        seen: list[object] = []
        while not task.done():
            await asyncio.sleep(0)
            seen.append(sys.gettrace())
        return seen

    with Recorder(COVERAGE, tmp_path) as recorder:
        seen = asyncio.run(serve_all(recorder))
    assert len(seen) > 4
    assert set(seen) == {None}


def test_a_trace_function_that_is_set_meanwhile_sees_its_events_and_makes_the_recording_incomplete(
    loops: ModuleType, tmp_path: Path
) -> None:
    lines: list[int] = []

    def debugger(frame: Any, event: str, _argument: object) -> Any:
        if event == "line" and frame.f_code.co_filename == loops.__file__:
            lines.append(frame.f_lineno)
        return debugger

    async def serve(recorder: Recorder) -> str:
        with recorder.recording() as recording:
            await recorder.engine.drive(recording, loops.turns(4))
        assert recording.incomplete is not None
        return recording.incomplete.reason

    async def serve_all(recorder: Recorder) -> str:
        task = asyncio.create_task(serve(recorder))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        sys.settrace(debugger)
        reason = await task
        assert sys.gettrace() is debugger
        sys.settrace(None)
        return reason

    with Recorder(COVERAGE, tmp_path) as recorder:
        assert asyncio.run(serve_all(recorder)) == "tracer_occupied"
    assert lines


async def in_greenlet(function: Callable[..., object], *arguments: object) -> object:
    """Call a function that waits for awaitables by :func:`wait_for`, as SQLAlchemy calls its own."""
    child = greenlet.greenlet(function)
    child.gr_context = contextvars.copy_context()
    value = child.switch(*arguments)
    while not child.dead:
        value = child.switch(await value)
    return value


def wait_for(awaitable: Awaitable[object]) -> object:
    return greenlet.getcurrent().parent.switch(awaitable)


GREEN = """
def inner(wait_for, n):
    total = 0
    for number in range(n):
        wait_for(later(number))
        total += helper(number)
    return total

async def later(n):
    return n

def helper(n):
    return n

async def request(in_greenlet, wait_for, n):
    found = await in_greenlet(inner, wait_for, n)
    return found or helper(n)
"""


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_greenlets_that_a_coroutine_waits_for_are_exact_as_sqlalchemy_uses_them(engine: Kind, tmp_path: Path) -> None:
    (tmp_path / "green.py").write_text(GREEN)

    async def serve(recorder: Recorder, n: int) -> tuple[int, Ran]:
        with recorder.recording() as recording:
            await recorder.engine.drive(recording, program.request(in_greenlet, wait_for, n))
        assert recording.incomplete is None
        return n, Ran.of(recording.executed())

    async def serve_all(recorder: Recorder) -> list[tuple[int, Ran]]:
        return await asyncio.gather(*(serve(recorder, n % 4) for n in range(12)))

    with imported(tmp_path, "green") as program, Recorder(engine, tmp_path) as recorder:
        for n, ran in asyncio.run(serve_all(recorder)):
            assert {name for _, name, _ in ran.functions} == {"request", "inner", "helper"} | (
                {"later"} if n else set()
            )
            expected = {3, 4, 7, 13, 16, 17} | ({5, 6, 10} if n else set())
            assert {line for _, line in ran.lines} == expected
