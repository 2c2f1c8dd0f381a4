"""Engine ``coverage``: from the arcs of coverage.py's branch mode to functions and lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from pathlib import Path
from types import CodeType

from otel_coverage.code_objects import loaded_by
from otel_coverage.recording.bytecode import RESUME, offset_after
from otel_coverage.recording.executed import Arc, Executed
from otel_coverage.source import SourceFile, SourceTree
from otel_coverage.symbols import Symbol, symbol_of

_CAN_RESUME = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR


@dataclass(frozen=True, slots=True)
class Function:
    """A function as arcs show it.

    Attributes:
        symbol: its name.
        first: ``co_firstlineno``; an arc from ``-first`` enters it, one to ``-first`` leaves it.
        lines: what its body may run.
        can_resume: whether it is a generator or coroutine, which may be continued where it was not entered.
    """

    symbol: Symbol
    first: int
    lines: frozenset[int]
    can_resume: bool

    def is_executed(self, arcs: set[Arc], entries: dict[int, set[int]]) -> bool:
        """Whether the arcs (and those of them that enter code, by its first line) show its body entered or resumed."""
        if not self.lines.isdisjoint(entries.get(self.first, ())):
            return True
        return self.can_resume and any(
            before in self.lines and (after in self.lines or after == -self.first) for before, after in arcs
        )


class ArcSymbolizer:
    """Finds the functions and lines that coverage.py's arcs show.

    Args:
        source: the tree that holds the files.
    """

    def __init__(self, source: SourceTree) -> None:
        self._source = source
        self._functions: dict[str, tuple[Function, ...]] = {}

    def symbolize(self, traced: Iterable[tuple[str, set[Arc]]], *, lines: bool, branch: bool) -> Executed:
        """The functions that were executed, and the lines and arcs by file.

        Args:
            traced: file names, each with its arcs.
            lines: whether to return lines.
            branch: whether to return arcs.
        """
        functions: set[Symbol] = set()
        ran: dict[str, frozenset[int]] = {}
        taken: dict[str, frozenset[Arc]] = {}
        for filename, arcs in traced:
            file = self._source.locate(filename)
            if file is None:
                continue
            entries: dict[int, set[int]] = {}
            for before, after in arcs:
                if before < 0:
                    entries.setdefault(-before, set()).add(after)
            functions.update(
                function.symbol for function in self._functions_of(file) if function.is_executed(arcs, entries)
            )
            numbers = frozenset(number for arc in arcs for number in arc if number > 0)
            if lines and numbers:
                ran[file.path] = ran.get(file.path, frozenset()) | numbers
            if branch and arcs:
                taken[file.path] = taken.get(file.path, frozenset()) | arcs
        return Executed(frozenset(functions), ran, taken)

    def _functions_of(self, file: SourceFile) -> tuple[Function, ...]:
        if file.filename not in self._functions:
            self._functions[file.filename] = tuple(_functions(file))
        return self._functions[file.filename]


def _functions(file: SourceFile) -> Iterator[Function]:
    try:
        top = compile(Path(file.filename).read_bytes(), file.filename, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return
    codes = loaded_by(top)
    while codes:
        code, qualname = codes.pop()
        codes += loaded_by(code)
        symbol = symbol_of(code, file, qualname)
        if symbol is not None:
            yield Function(symbol, code.co_firstlineno, _body_lines(code), bool(code.co_flags & _CAN_RESUME))


def _body_lines(code: CodeType) -> frozenset[int]:
    """The lines of the body: the first RESUME and what comes before it stand for the ``def``."""
    if RESUME is None:
        return frozenset(line for _start, _end, line in code.co_lines() if line)
    instructions = code.co_code
    starts = (at for at in range(0, len(instructions), 2) if instructions[at] == RESUME and not instructions[at + 1])
    body = offset_after(instructions, next(starts, 0))
    return frozenset(line for _start, end, line in code.co_lines() if line and end > body)
