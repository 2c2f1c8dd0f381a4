"""The callbacks in C and in Python are told the same events in the same order: they answer, arm and find the same."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_coverage.recording.choosing import Implementation, callbacks_of
from otel_coverage.recording.ways import SEES_BRANCHES

pytestmark = pytest.mark.since(3, 12)

FILE, ELSEWHERE = "/application/program.py", "/elsewhere/library.py"
KEY = "recording"
TOOL = 3  # never taken: what is told to sys.monitoring is only written down

SOURCE = (
    """
def plain(n):
    total = n
    for step in range(n):
        total += step
    return total

def one_line(n): return n + 1

def counted(n):
    try:
        yield n
        n += (yield)
    except ValueError:
        yield 0
    yield from (step for step in range(n))

async def awaited(n):
    async with n as m:
        await m

def holder(n):
    class Inner:
        def method(self): return lambda: (
            n
        )
    return Inner
"""
    + "\n" * 500
    + "def far(n):\n"
    + "    n = (n +\n"
    + "\n" * 300
    + "    1)\n    return n\n"
)


def codes_of(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_of(constant)


@dataclass
class Side:
    """One implementation, with a context of its own and all that it said to ``sys.monitoring``."""

    name: str
    granularity: str
    shape: str
    alone: bool
    restart_above: float
    said: list[tuple[object, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        events = sys.monitoring.events
        starts = 0 if self.alone else events.PY_START | events.PY_RESUME
        self.variable: ContextVar[Any] = ContextVar(self.name)
        self.context = copy_context()
        self.marks: list[Any] = []
        self.callbacks = callbacks_of(Implementation(self.name, ""))(  # type: ignore[arg-type]
            tool=TOOL,
            events=starts | (0 if self.granularity == "function" else events.LINE) | self.ways(),
            variable=self.variable,
            key=None if self.shape == "bare" else KEY,
            is_wanted=lambda name: name == FILE,
            restart_above=self.restart_above,
            alone=self.alone,
        )

    def ways(self) -> int:
        """The events of ways out of instructions, where they are wanted."""
        wanted = ("BRANCH_LEFT", "BRANCH_RIGHT", "PY_RETURN") if self.granularity == "branch" and SEES_BRANCHES else ()
        return sum(getattr(sys.monitoring.events, name) for name in wanted)

    def found(self, chosen: int) -> object:
        """What the context holds while that recording runs."""
        if chosen >= len(self.marks):
            return (None, {}, {KEY: None}, {"other": 1})[chosen % 4] if self.shape != "bare" else None
        recording = Slotted(self.marks[chosen]) if chosen % 2 else Plain(self.marks[chosen])
        shapes: dict[str, Callable[[], object]] = {
            "bare": lambda: recording,
            "dict": lambda: {KEY: recording},
            "mapping": lambda: Mapping({KEY: recording}),
        }
        return shapes[self.shape]()


class Plain:
    def __init__(self, mark: object) -> None:
        self.mark = mark


class Slotted:
    __slots__ = ("_other", "mark")

    def __init__(self, mark: object) -> None:
        self.mark = mark


class Mapping:
    """Not a dict."""

    def __init__(self, items: dict[str, object]) -> None:
        self._items = items

    def __contains__(self, key: str) -> bool:
        return key in self._items

    def __getitem__(self, key: str) -> object:
        return self._items[key]


@contextmanager
def written_down(restarts: int) -> Iterator[list[tuple[object, ...]]]:
    """What is told to ``sys.monitoring``; after that many restarts it can make no more."""
    said: list[tuple[object, ...]] = []
    done = 0

    def restart_events() -> None:
        nonlocal done
        if done == restarts:
            raise OverflowError("events set too many times")
        done += 1
        said.append(("restart",))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.monitoring, "set_local_events", lambda *told: said.append(told))
        patch.setattr(sys.monitoring, "restart_events", restart_events)
        yield said


def told(side: Side, step: tuple[Any, ...], codes: list[CodeType]) -> object:
    """One step, and what came of it."""
    what, first, second = step
    code = codes[first % len(codes)]
    places = places_of(code, "RESUME")
    lines = sorted({line for _, _, line in code.co_lines() if line})
    callbacks = side.callbacks
    if what == "begins":
        side.marks.append(callbacks.join())
        return None
    if what in ("ends", "is read"):
        if not side.marks:
            return None
        mark = side.marks[first % len(side.marks)]
        if what == "is read":
            return comparable(callbacks.read(mark))
        return comparable(callbacks.leave(mark))
    if what == "runs":
        side.context.run(side.variable.set, side.found(first % (len(side.marks) + 4)))
        return None
    if what == "forks":
        callbacks.reset(side.marks)
        return None
    if what == "line":
        if side.granularity == "function":
            return None  # there are no such events
        return side.context.run(callbacks.on_line, code, lines[second % len(lines)])
    if what == "way":
        if not side.ways():
            return None
        taken: list[tuple[Callable[..., object], int]] = []
        for source, _left, _right in cast(Any, code).co_branches():
            taken += [(callbacks.on_left, source), (callbacks.on_right, source)]
        taken += [(callbacks.on_return, offset) for offset in places_of(code, "RETURN_VALUE")]
        event, offset = taken[second % len(taken)]
        return side.context.run(event, code, offset, 0)
    if what == "throw":
        return side.context.run(callbacks.on_throw, code, second % (len(code.co_code) // 2) * 2, ValueError())
    event = callbacks.on_start if what == "start" else callbacks.on_discovery
    return side.context.run(event, code, places[second % len(places)] if places else 0)


def places_of(code: CodeType, name: str) -> list[int]:
    return [offset for offset in range(0, len(code.co_code), 2) if code.co_code[offset] == dis.opmap[name]]


def comparable(read: list[tuple[CodeType, Any]]) -> list[tuple[int, list[int]]]:
    return [(id(code), sorted(lines)) for code, lines in read]


EVENTS = ("start", "start", "line", "line", "line", "way", "way", "throw", "discovery")
STEPS = st.lists(
    st.tuples(
        st.sampled_from((*EVENTS, "begins", "runs", "runs", "ends", "is read", "forks")),
        st.integers(0, 5),
        st.integers(0, 12),
    ),
    min_size=20,
    max_size=150,
)


@settings(max_examples=500, deadline=None)
@given(
    steps=STEPS,
    few=st.lists(st.integers(0, 14), min_size=1, max_size=3),
    granularity=st.sampled_from(("line", "branch", "function")),
    shape=st.sampled_from(("bare", "dict", "mapping")),
    alone=st.booleans(),
    restart_above=st.sampled_from((0.0, 0.5, 1e9)),
    restarts=st.sampled_from((0, 2, 1000)),
)
def test_both_decide_alike(
    steps: list[tuple[Any, ...]],
    few: list[int],
    granularity: str,
    shape: str,
    alone: bool,
    restart_above: float,
    restarts: int,
) -> None:
    every = [*codes_of(compile(SOURCE, FILE, "exec")), compile("x = 1", ELSEWHERE, "exec")]
    codes = [every[number % len(every)] for number in few]
    answers = []
    for name in ("python", "c"):
        with written_down(restarts) as said:
            side = Side(name, granularity, shape, alone, restart_above)
            seen: list[object] = []
            for step in (("begins", 0, 0), ("runs", 0, 0), *steps):
                try:
                    seen.append(told(side, step, codes))
                except OverflowError as error:
                    seen.append(str(error))
            for mark in side.marks:
                seen.append(comparable(side.callbacks.leave(mark)))  # noqa: PERF401
            side.callbacks.disarm()
        answers.append((seen, [(*what[:1], id(what[1]), *what[2:]) if len(what) > 1 else what for what in said]))
    assert answers[0] == answers[1]
