"""The callbacks in C and in Python get the same events in the same order: they answer, rearm and record the same."""

from __future__ import annotations

import dis
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from types import CodeType
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_coverage.recording import LineSet, branch_edges
from otel_coverage.recording.backend import Backend, callbacks_class
from tests.support.examples import examples

pytestmark = pytest.mark.since(3, 12)

FILE, ELSEWHERE = "/application/program.py", "/elsewhere/library.py"
KEY = "recording"
TOOL = 3  # never taken: calls of sys.monitoring are only noted

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
    """One backend, with a context of its own."""

    name: str
    granularity: str
    shape: str
    single_tool: bool

    def __post_init__(self) -> None:
        events = sys.monitoring.events
        starts = 0 if self.single_tool else events.PY_START | events.PY_RESUME
        self.variable: ContextVar[Any] = ContextVar(self.name)
        self.context = copy_context()
        self.slots: list[Any] = []
        self.known: dict[bytes, Any] = {}
        self.callbacks = callbacks_class(Backend(self.name, ""))(  # type: ignore[arg-type]
            tool=TOOL,
            events=starts | (0 if self.granularity == "function" else events.LINE) | self.edges(),
            variable=self.variable,
            key=None if self.shape == "bare" else KEY,
            should_trace=lambda name: name == FILE,
            single_tool=self.single_tool,
        )

    def edges(self) -> int:
        """The events of branch edges, where they are recorded."""
        return sum(branch_edges.EVENT_CALLBACKS) if self.granularity == "branch" else 0

    def found(self, chosen: int) -> object:
        """What the context holds while that recording runs."""
        if chosen >= len(self.slots):
            return (None, {}, {KEY: None}, {"other": 1})[chosen % 4] if self.shape != "bare" else None
        recording = Slotted(self.slots[chosen]) if chosen % 2 else Plain(self.slots[chosen])
        shapes: dict[str, Callable[[], object]] = {
            "bare": lambda: recording,
            "dict": lambda: {KEY: recording},
            "mapping": lambda: Mapping({KEY: recording}),
        }
        return shapes[self.shape]()


class Plain:
    def __init__(self, slot: object) -> None:
        self.slot = slot


class Slotted:
    __slots__ = ("_other", "slot")

    def __init__(self, slot: object) -> None:
        self.slot = slot


class Mapping:
    """Not a dict."""

    def __init__(self, items: dict[str, object]) -> None:
        self._items = items

    def __contains__(self, key: str) -> bool:
        return key in self._items

    def __getitem__(self, key: str) -> object:
        return self._items[key]


@contextmanager
def noted_calls(restarts: int) -> Iterator[list[tuple[object, ...]]]:
    """The calls of ``sys.monitoring``, which are not made; after that many restarts the next one fails."""
    calls: list[tuple[object, ...]] = []
    done = 0

    def restart_events() -> None:
        nonlocal done
        if done == restarts:
            raise OverflowError("events set too many times")
        done += 1
        calls.append(("restart",))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.monitoring, "set_local_events", lambda *arguments: calls.append(arguments))
        patch.setattr(sys.monitoring, "restart_events", restart_events)
        patch.setattr(callbacks_class(Backend("python", "")), "restart_above", math.inf)  # as in C
        yield calls


def take(side: Side, step: tuple[Any, ...], codes: list[CodeType]) -> object:
    """Take one step and return its result."""
    what, first, second = step
    code = codes[first % len(codes)]
    starts = offsets_of(code, "RESUME")
    lines = sorted({line for _, _, line in code.co_lines() if line})
    callbacks = side.callbacks
    if what == "begins":
        side.slots.append(callbacks.begin())
        return None
    if what in ("ends", "is read"):
        if not side.slots:
            return None
        slot = side.slots[first % len(side.slots)]
        if what == "is read":
            return comparable(callbacks.read(slot))
        return comparable(callbacks.end(slot))
    if what in ("ends by file", "is read by file"):
        if not side.slots:
            return None
        slot = side.slots[first % len(side.slots)]
        read = callbacks.read_by_file if what == "is read by file" else callbacks.end_by_file
        pairs = pairs_of(side.known, read(slot, side.known))
        # all code objects of the one file, and all their lines
        return sorted(id(code) for code, _ in pairs), sorted({line for _, lines in pairs for line in lines})
    if what == "runs":
        side.context.run(side.variable.set, side.found(first % (len(side.slots) + 4)))
        return None
    if what == "forks":
        callbacks.reset(side.slots)
        return None
    if what == "line":
        if side.granularity == "function":
            return None  # there are no such events
        return side.context.run(callbacks.on_line, code, lines[second % len(lines)])
    if what == "edge":
        if not side.edges():
            return None
        edges: list[tuple[Callable[..., object], int]] = []
        for source, _left, _right in cast(Any, code).co_branches():
            edges += [(callbacks.on_left, source), (callbacks.on_right, source)]
        edges += [(callbacks.on_return, offset) for offset in offsets_of(code, "RETURN_VALUE")]
        event, offset = edges[second % len(edges)]
        return side.context.run(event, code, offset, 0)
    if what == "throw":
        return side.context.run(callbacks.on_throw, code, second % (len(code.co_code) // 2) * 2, ValueError())
    event = callbacks.on_start if what == "start" else callbacks.on_discovery
    return side.context.run(event, code, starts[second % len(starts)] if starts else 0)


def offsets_of(code: CodeType, name: str) -> list[int]:
    return [offset for offset in range(0, len(code.co_code), 2) if code.co_code[offset] == dis.opmap[name]]


def pairs_of(known: dict[bytes, Any], files: Any) -> list[tuple[CodeType, Any]]:
    """Code objects and lines of what was read by file, which is known from now on."""
    found = []
    for file in files:
        pairs = file
        if isinstance(file, tuple):
            key, codes, lines = file
            assert key not in known
            if isinstance(lines, tuple):
                bits, ranges = lines
                of_file = LineSet(int.from_bytes(bits, "little"))
                assert ranges == of_file.ranges
                lines = [of_file, *[()] * (len(codes) - 1)]
            pairs = list(zip(codes, lines, strict=True))
            if key:
                known[key] = pairs
        found += pairs
    return found


def comparable(read: list[tuple[CodeType, Any]]) -> list[tuple[int, list[int]]]:
    return [(id(code), sorted(lines)) for code, lines in read]


EVENTS = ("start", "start", "line", "line", "line", "edge", "edge", "throw", "discovery")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (*EVENTS, "begins", "runs", "runs", "ends", "is read", "ends by file", "is read by file", "forks")
        ),
        st.integers(0, 5),
        st.integers(0, 12),
    ),
    min_size=20,
    max_size=150,
)


@settings(max_examples=examples(200), deadline=None)
@given(
    steps=STEPS,
    few=st.lists(st.integers(0, 14), min_size=1, max_size=3),
    granularity=st.sampled_from(("line", "branch", "function")),
    shape=st.sampled_from(("bare", "dict", "mapping")),
    single_tool=st.booleans(),
    restarts=st.sampled_from((0, 2, 1000)),
)
def test_both_backends_decide_alike(
    steps: list[tuple[Any, ...]],
    few: list[int],
    granularity: str,
    shape: str,
    single_tool: bool,
    restarts: int,
) -> None:
    every = [*codes_of(compile(SOURCE, FILE, "exec")), compile("x = 1", ELSEWHERE, "exec")]
    codes = [every[number % len(every)] for number in few]
    answers = []
    for name in ("python", "c"):
        with noted_calls(restarts) as calls:
            side = Side(name, granularity, shape, single_tool)
            seen: list[object] = []
            for step in (("begins", 0, 0), ("runs", 0, 0), *steps):
                try:
                    seen.append(take(side, step, codes))
                except OverflowError as error:
                    seen.append(str(error))
            for slot in side.slots:
                seen.append(comparable(side.callbacks.end(slot)))  # noqa: PERF401
            side.callbacks.disarm()
        answers.append((seen, [(*call[:1], id(call[1]), *call[2:]) if len(call) > 1 else call for call in calls]))
    assert answers[0] == answers[1]
