"""What a recording has executed: plain data that can be compared, added and taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from otel_coverage.symbols import Symbol

_T = TypeVar("_T")

Arc = tuple[int, int]
"""From one line to another. What enters code that begins on line 7 comes from -7, what leaves it goes to -7."""


@dataclass(frozen=True, slots=True)
class Executed:
    """Functions entered, lines run, and where they led.

    Attributes:
        functions: symbols whose body was entered or resumed.
        lines: for each file (path as in :class:`~otel_coverage.source.SourceFile`), the numbers of the lines that ran;
            empty at function granularity. No file maps to an empty set.
        arcs: for each file, the pairs of lines of which the second followed the first, as coverage.py's branch mode has
            them; empty unless asked for. Lines that no pair names just went on. No file maps to an empty set.
    """

    functions: frozenset[Symbol] = frozenset()
    lines: Mapping[str, frozenset[int]] = field(default_factory=dict)
    arcs: Mapping[str, frozenset[Arc]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.functions or self.lines or self.arcs)

    def __or__(self, other: Executed) -> Executed:
        return Executed(
            self.functions | other.functions, _union(self.lines, other.lines), _union(self.arcs, other.arcs)
        )

    def __sub__(self, other: Executed) -> Executed:
        """What ran here and is not in ``other``."""
        return Executed(
            self.functions - other.functions, _without(self.lines, other.lines), _without(self.arcs, other.arcs)
        )


def _union(these: Mapping[str, frozenset[_T]], others: Mapping[str, frozenset[_T]]) -> dict[str, frozenset[_T]]:
    none: frozenset[_T] = frozenset()
    return {path: these.get(path, none) | others.get(path, none) for path in these.keys() | others.keys()}


def _without(these: Mapping[str, frozenset[_T]], others: Mapping[str, frozenset[_T]]) -> dict[str, frozenset[_T]]:
    none: frozenset[_T] = frozenset()
    remaining = {path: found - others.get(path, none) for path, found in these.items()}
    return {path: found for path, found in remaining.items() if found}
