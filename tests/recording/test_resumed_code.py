"""Code begun under one recording and continued under another: each holds what ran while it was current."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest

from otel_coverage.recording import Recording
from tests.recording.oracle import Oracle, Ran, Step
from tests.recording.oracle_process import State
from tests.recording.recorder import MONITORING, Kind, Recorder, imported

PROGRAM = """
def called(n): return n

def counting(n):
    for number in range(n):
        yield number
    called(n)

def one_line(n): yield n; yield called(n); yield n

def mid_line(n):
    return [
        (yield 1), (yield 2),
        called(n),
    ]

def catching(n):
    while True:
        try:
            yield n
        except KeyError:
            called(n)

def delegating(n):
    yield 0
    yield from counting(n)

def tidying(n):
    try:
        yield n
        yield n
    finally:
        called(n)

async def outer(n):
    await inner(n)
    return called(n)

async def inner(n):
    await pause()
    await pause()

class pause:
    def __await__(self):
        yield
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "crossing.py").write_text(PROGRAM)
    with imported(tmp_path, "crossing") as module:
        yield module


def play(recorder: Recorder, module: ModuleType, steps: Sequence[Step]) -> dict[str, Ran]:
    """Take the steps; each context has a recording, from before the first step to after its own last one."""
    last = {step.context: number for number, step in enumerate(steps)}
    recordings: dict[str, Recording] = {context: recorder.engine.begin() for context in last if context}
    state = State(module)
    ran = {}
    for number, step in enumerate(steps):
        recording = recordings.get(step.context)
        with recorder.under(recording):
            state.take(asdict(step))
        if recording is not None and last[step.context] == number:
            assert Ran.of(recording.executed()) == Ran.of(recording.executed())
            recorder.engine.end(recording)
            ran[step.context] = Ran.of(recording.executed())
    state.close()
    return ran


@pytest.mark.parametrize("engine", MONITORING, ids=str)
@pytest.mark.parametrize(
    "steps",
    [
        pytest.param("make:counting send@a send@b send@a send@b", id="turns"),
        pytest.param("make:counting send@ send@ send@a", id="resumed only"),
        pytest.param("make:counting send@a send@a send@a send@a send@b", id="exhausted elsewhere"),
        pytest.param("make:one_line send@a send@b send@c send@a", id="one line"),
        pytest.param("make:mid_line send@a send@b send@c", id="in the middle of an expression"),
        pytest.param("make:catching send@a throw@b send@a throw@a", id="thrown into"),
        pytest.param("make:catching send@ throw@ send@ throw@b", id="only thrown into"),
        pytest.param("make:counting send@a throw@b", id="thrown into in vain"),
        pytest.param("make:counting send@a close@b", id="closed"),
        pytest.param("make:tidying send@a close@b", id="closed, with something to tidy"),
        pytest.param("make:delegating send@a send@b send@c send@b throw@a", id="delegated"),
        pytest.param("make:outer send@a send@b send@c", id="a coroutine"),
        pytest.param("make:outer send@a send@ throw@b", id="a coroutine that is cancelled"),
        pytest.param("call:called@a make:counting send@a send@b call:called@b send@a", id="called too"),
    ],
)
def test_code_resumed_under_another_recording_belongs_to_that_one(
    steps: str, program: ModuleType, engine: Kind, oracle: Oracle, tmp_path: Path
) -> None:
    taken = [_step(word) for word in steps.split()]
    expected = oracle.ask(tmp_path, "crossing", taken)
    with Recorder(engine, tmp_path) as recorder:
        for _ in range(3):
            ran = play(recorder, program, taken)
            for context in ran:
                assert ran[context].difference(expected[context]) == {}, context


def _step(word: str) -> Step:
    action, _, context = word.partition("@")
    action, _, function = action.partition(":")
    return Step(context, action, function, (3,) if function else ())


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_a_generator_that_ran_before_anything_was_hooked_is_recorded_when_it_is_resumed(
    program: ModuleType, engine: Kind, tmp_path: Path
) -> None:
    running, caught = program.counting(3), program.catching(3)
    next(running)
    next(caught)
    with Recorder(engine, tmp_path) as recorder:
        ran = recorder.ran(next, running)
        assert ran == Ran(frozenset({("crossing.py", "counting", 4)}), lines(5, 6))
        ran = recorder.ran(caught.throw, KeyError())
        assert ran.functions == {("crossing.py", "catching", 17), ("crossing.py", "called", 2)}
        assert ran.lines == lines(2, 18, 19, 20, 21, 22)


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_a_recording_that_begins_inside_a_running_function_holds_what_is_entered_from_then_on(
    engine: Kind, tmp_path: Path
) -> None:
    (tmp_path / "running.py").write_text(
        "def outer(hook):\n    hook()\n    after()\n    return 1\n\ndef after():\n    return 2\n"
    )
    with imported(tmp_path, "running") as module, Recorder(engine, tmp_path) as recorder:
        for _ in range(3):
            recordings: list[Recording] = []

            def hook(recordings: list[Recording] = recordings) -> None:
                recordings.append(recorder.engine.begin())
                recorder.variable.set(recordings[0])

            with recorder.recording() as before:
                module.outer(hook)
            recorder.engine.end(recordings[0])
            assert Ran.of(recordings[0].executed()) == Ran(
                frozenset({("running.py", "after", 6)}), frozenset({("running.py", 7)})
            )
            assert Ran.of(before.executed()) == Ran(
                frozenset({("running.py", "outer", 1)}), frozenset({("running.py", 2)})
            )


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_entering_a_body_on_the_def_line_runs_that_line_whether_or_not_a_line_event_tells(
    engine: Kind, tmp_path: Path
) -> None:
    (tmp_path / "short.py").write_text("def one(): return 1\n\ndef two():\n    return 2\n\nthree = lambda: 3\n")
    with imported(tmp_path, "short") as module, Recorder(engine, tmp_path) as recorder:
        recorder.engine.end(recorder.engine.begin())
        for tool in range(6):
            if sys.monitoring.get_tool(tool) == "otel-coverage":
                sys.monitoring.register_callback(tool, sys.monitoring.events.LINE, None)
        assert recorder.ran(module.one).lines == {("short.py", 1)}
        assert recorder.ran(module.two).lines == set()
        assert recorder.ran(module.three).lines == {("short.py", 6)}


def lines(*numbers: int) -> frozenset[tuple[str, int]]:
    return frozenset(("crossing.py", number) for number in numbers)
