"""Ways out of an instruction other than to the next one, and the arcs that they mean.

A branch goes left or right, a return goes out. CPython 3.14 and later has an event for each. Callbacks keep the ways
that were taken among the lines that ran: a way is a number below zero.

An arc is what coverage.py makes of a way: from the instruction's line to the first other line on the trail that begins
there. Where a trail comes to another branch first, that one's ways tell the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from opcode import hasjrel, opmap
from types import CodeType
from typing import Any, Final, cast

from otel_coverage.recording.bytecode import offset_after
from otel_coverage.recording.executed import Arc

SEES_BRANCHES: Final = sys.version_info >= (3, 14)
NO_BRANCHES: Final = (
    "engine 'monitoring' sees branches from CPython 3.14 on; OTEL_COVERAGE_ENGINE=coverage records them on any"
)

LEFT, RIGHT, OUT = range(3)

_CACHE: Final = opmap["CACHE"]
_EXTENDED_ARG: Final = opmap["EXTENDED_ARG"]
_RETURN: Final = opmap["RETURN_VALUE"]
_RAISE_AGAIN: Final = opmap["RERAISE"]
_JUMPS: Final = frozenset(hasjrel)
_DIRECTION: Final = {opmap["JUMP_FORWARD"]: 1, opmap["JUMP_BACKWARD"]: -1, opmap["JUMP_BACKWARD_NO_INTERRUPT"]: -1}


def way(offset: int, side: int) -> int:
    """The number of the way that leaves the instruction at ``offset`` on that side; offsets are even."""
    return -(2 * offset + side + 1)


class Ways:
    """What the ways of one code object mean. It does not keep the code alive."""

    def __init__(self, code: CodeType) -> None:
        trails = _Trails(code)
        self._arcs: dict[int, Arc] = {}
        for source, left, right in cast(Any, code).co_branches():
            for side, target in ((LEFT, left), (RIGHT, right)):
                arc = trails.follow(source, target)
                if arc is not None:
                    self._arcs[way(source, side)] = arc
        for offset in range(0, len(code.co_code), 2):
            if trails.instructions[offset] == _RETURN and offset in trails.lines:
                self._arcs[way(offset, OUT)] = (trails.lines[offset], trails.outside)
        self._onward = tuple(_onward(code, trails))

    def arcs(self, ran: Iterable[int]) -> set[Arc]:
        """The arcs that were gone, by the ways that were taken and the lines that ran."""
        ran = frozenset(ran)
        known = self._arcs
        gone = {known[number] for number in ran if number in known}
        gone.update(arc for arc in self._onward if ran.issuperset(arc))
        return gone


class _Trails:
    """Follows what the interpreter does from an instruction on, as long as there is no choice."""

    def __init__(self, code: CodeType) -> None:
        self.instructions = code.co_code
        self.outside = -code.co_firstlineno
        self.lines = {offset: line for start, end, line in code.co_lines() if line for offset in range(start, end, 2)}

    def follow(self, source: int, offset: int) -> Arc | None:
        """The arc from the line of one instruction that goes on at another; None where no other line comes next."""
        before = self.lines.get(source)
        if before is None:
            return None
        instructions = self.instructions
        argument = 0
        passed: set[int] = set()
        while 0 <= offset < len(instructions) and offset not in passed:
            passed.add(offset)
            opcode = instructions[offset]
            if opcode != _CACHE:
                after = self.lines.get(offset, before)
                if after != before:
                    return before, after
                argument = argument << 8 | instructions[offset + 1]
                if opcode == _RETURN:
                    return before, self.outside
                if opcode == _RAISE_AGAIN:
                    return None
                if opcode in _JUMPS:
                    if opcode not in _DIRECTION:
                        return None
                    offset = offset_after(instructions, offset) - 2 + 2 * argument * _DIRECTION[opcode]
                if opcode != _EXTENDED_ARG:
                    argument = 0
            offset += 2
        return None


def _onward(code: CodeType, trails: _Trails) -> Iterator[Arc]:
    """From lines on which other code begins to those that follow them here.

    Such a line has two ends, that of the definition and that of a body on the same line, and no event tells of the
    first: it was reached where both lines ran. All other lines have one end, or a branch.
    """
    inner = {line for inner in code.co_consts if isinstance(inner, CodeType) for _, _, line in inner.co_lines()}
    before = None
    for offset in sorted(trails.lines):
        line = trails.lines[offset]
        if line != before and line in inner:
            arc = trails.follow(offset, offset)
            if arc is not None and arc[1] > 0:
                yield arc
        before = line
