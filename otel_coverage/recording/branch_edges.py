"""Branch edges of engine ``monitoring``: the exits of an instruction other than to the next one, and their arcs.

A branch goes left or right, a return leaves the code. CPython 3.14 and later has an event for each. To callbacks an
edge is one more line, whose number is below zero: recorded and disabled by the same rules.

An arc is what coverage.py makes of an edge: from the instruction's line to the first other line on the chain of jumps
that begins there. Where the chain comes to another branch first, the edges of that one have the arcs.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Iterator, Sequence
from opcode import hasjrel, opmap
from types import CodeType
from typing import Any, Final, cast

from otel_coverage.recording.bytecode import offset_after
from otel_coverage.recording.executed import Arc, Executed
from otel_coverage.recording.symbolizer import Symbolizer

SUPPORTED: Final = sys.version_info >= (3, 14)
UNSUPPORTED_REASON: Final = (
    "engine 'monitoring' sees branches from CPython 3.14 on; OTEL_COVERAGE_ENGINE=coverage records them on any"
)

EVENT_CALLBACKS: Final = {  # the name of the callback for each event
    getattr(sys.monitoring.events, event): callback
    for event, callback in (("BRANCH_LEFT", "on_left"), ("BRANCH_RIGHT", "on_right"), ("PY_RETURN", "on_return"))
    if SUPPORTED
}

LEFT, RIGHT, OUT = range(3)

_CACHE: Final = opmap.get("CACHE")
_EXTENDED_ARG: Final = opmap["EXTENDED_ARG"]
_RETURN: Final = opmap["RETURN_VALUE"]
_RERAISE: Final = opmap["RERAISE"]
_JUMPS: Final = frozenset(hasjrel)
_DIRECTIONS: Final = {
    opmap[name]: direction
    for name, direction in (("JUMP_FORWARD", 1), ("JUMP_BACKWARD", -1), ("JUMP_BACKWARD_NO_INTERRUPT", -1))
    if SUPPORTED
}


def edge_id(offset: int, side: int) -> int:
    """The number, below zero, of the edge that leaves the instruction at ``offset`` on that side; offsets are even."""
    return -(2 * offset + side + 1)


class EdgeCallbacks:
    """What the interpreter calls for edges; each is a line to ``on_line``.

    A decision of ``on_line`` and the DISABLE that is returned here stay one step: other threads run at the call of a
    Python function, not at its return.
    """

    def on_line(self, code: CodeType, line: int, /) -> object:
        """A line runs; the answer is DISABLE or None."""
        raise NotImplementedError

    def on_left(self, code: CodeType, offset: int, _target: int) -> object:
        """Local BRANCH_LEFT."""
        return self.on_line(code, edge_id(offset, LEFT))  # rule: left-is-not-right/left, edge-needs-all-active

    def on_right(self, code: CodeType, offset: int, _target: int) -> object:
        """Local BRANCH_RIGHT."""
        return self.on_line(code, edge_id(offset, RIGHT))  # rule: left-is-not-right

    def on_return(self, code: CodeType, offset: int, _value: object) -> object:
        """Local PY_RETURN."""
        return self.on_line(code, edge_id(offset, OUT))  # rule: returns-are-edges


class EdgeSymbolizer(Symbolizer):
    """Names code objects whose lines have the numbers of edges among them, and finds the arcs of these."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._edges: dict[int, tuple[weakref.ref[CodeType], BranchEdges]] = {}

    def symbolize(self, entered: Sequence[tuple[CodeType, Sequence[int]]], *, lines: bool) -> Executed:
        """As :meth:`Symbolizer.symbolize`, with the arcs by file."""
        numbers = [
            (code, [number for number in ran if number >= 0])  # rule: edges-are-no-lines
            for code, ran in entered
        ]
        executed = super().symbolize(numbers, lines=lines)
        arcs: dict[str, set[Arc]] = {}
        for code, ran in entered:
            path = self.locate(code).path
            if path is not None:
                arcs.setdefault(path, set()).update(self._edges_of(code).arcs(ran))
        return Executed(
            executed.functions, executed.lines, {path: frozenset(taken) for path, taken in arcs.items() if taken}
        )

    def _edges_of(self, code: CodeType) -> BranchEdges:
        identity = id(code)
        if identity not in self._edges:
            reference = weakref.ref(code, lambda _: self._edges.pop(identity, None))
            self._edges[identity] = reference, BranchEdges(code)
        return self._edges[identity][1]


class BranchEdges:
    """The arcs of one code object's edges. It does not keep the code alive."""

    def __init__(self, code: CodeType) -> None:
        chains = _JumpChains(code)
        self._arcs: dict[int, Arc] = {}
        for source, left, right in cast(Any, code).co_branches():
            for side, target in ((LEFT, left), (RIGHT, right)):
                arc = chains.follow(source, target)
                if arc is not None:
                    self._arcs[edge_id(source, side)] = arc
        for offset in range(0, len(code.co_code), 2):
            if chains.instructions[offset] == _RETURN and offset in chains.lines:
                self._arcs[edge_id(offset, OUT)] = (chains.lines[offset], chains.outside)
        self._fall_through = tuple(_fall_through(code, chains))  # rule: definitions-fall-through

    def arcs(self, ran: Iterable[int]) -> set[Arc]:
        """The arcs that were taken, by the numbers of the edges and lines that ran."""
        ran = frozenset(ran)
        known = self._arcs
        taken = {known[number] for number in ran if number in known}
        for before, after in self._fall_through:
            if before in ran and after in ran:  # rule: fall-through-reaches-next-line
                taken.add((before, after))
        return taken


class _JumpChains:
    """Follows the instructions that the interpreter runs from one on, as long as there is only one way to go."""

    def __init__(self, code: CodeType) -> None:
        self.instructions = code.co_code
        self.outside = -code.co_firstlineno
        self.lines = {offset: line for start, end, line in code.co_lines() if line for offset in range(start, end, 2)}

    def follow(self, source: int, offset: int) -> Arc | None:
        """The arc from the line of ``source`` to the first other line from ``offset`` on; None where none comes next.

        Args:
            source: the offset of an instruction.
            offset: that of the instruction that runs next.
        """
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
                argument = argument << 8 | instructions[offset + 1]  # rule: long-jumps
                if opcode == _RETURN:  # rule: chain-ends-with-code
                    return before, self.outside
                if opcode == _RERAISE:  # rule: chain-ends-at-reraise
                    return None
                if opcode in _JUMPS:
                    direction = _DIRECTIONS.get(opcode, 0)
                    if not direction:  # rule: chain-ends-at-branch
                        return None
                    offset = offset_after(instructions, offset) - 2
                    offset += 2 * argument * direction  # rule: chain-follows-jumps
                if opcode != _EXTENDED_ARG:
                    argument = 0
            offset += 2
        return None


def _fall_through(code: CodeType, chains: _JumpChains) -> Iterator[Arc]:
    """The arcs from lines on which other code begins to the lines that follow them here.

    Such a line has two ends, that of the definition and that of a body on the same line, and the first has no event:
    it was reached where both lines ran. All other lines have one end, or a branch.
    """
    inner = {line for inner in code.co_consts if isinstance(inner, CodeType) for _, _, line in inner.co_lines()}
    before = None
    for offset in sorted(chains.lines):
        line = chains.lines[offset]
        if line != before and line in inner:
            arc = chains.follow(offset, offset)
            if arc is not None and arc[1] > 0:
                yield arc
        before = line
