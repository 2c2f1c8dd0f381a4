"""What a recording has executed: plain data that can be compared, added and taken apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, TypeVar

from otel_coverage.symbols import Symbol

_T = TypeVar("_T")

Arc = tuple[int, int]
"""From one line to another. What enters code that begins on line 7 comes from -7, what leaves it goes to -7."""


@dataclass(frozen=True, slots=True)
class Executed:
    """Functions entered, lines run, and where they led. Immutable: requests that run the same may share one.

    Attributes:
        functions: symbols whose body was entered or resumed.
        lines: for each file (path as in :class:`~otel_coverage.source.SourceFile`), the numbers of the lines that ran;
            empty at function granularity. No file maps to an empty set.
        arcs: for each file, the pairs of lines of which the second followed the first, as coverage.py's branch mode has
            them; empty unless asked for. Lines that no pair names just went on. No file maps to an empty set.
        forms: what was made of it, by who made it, so that it need not be made again.
    """

    functions: frozenset[Symbol] = frozenset()
    lines: Mapping[str, AbstractSet[int]] = field(default_factory=dict)
    arcs: Mapping[str, frozenset[Arc]] = field(default_factory=dict)
    forms: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def union(cls, parts: Iterable[Executed]) -> Executed:
        """What ran in any of them."""
        parts = list(parts)
        lines: dict[str, AbstractSet[int]] = {}
        arcs: dict[str, frozenset[Arc]] = {}
        for part in parts:
            for path, numbers in part.lines.items():
                lines[path] = lines[path] | numbers if path in lines else numbers
            for path, taken in part.arcs.items():
                arcs[path] = arcs[path] | taken if path in arcs else taken
        return cls(frozenset().union(*[part.functions for part in parts]), lines, arcs)

    def __bool__(self) -> bool:
        return bool(self.functions or self.lines or self.arcs)

    def __or__(self, other: Executed) -> Executed:
        return Executed.union((self, other))

    def __sub__(self, other: Executed) -> Executed:
        """What ran here and is not in ``other``."""
        if not other:
            return self
        return Executed(
            self.functions - other.functions, _without(self.lines, other.lines), _without(self.arcs, other.arcs)
        )


def _without(these: Mapping[str, AbstractSet[_T]], others: Mapping[str, AbstractSet[_T]]) -> dict[str, Any]:
    remaining = {path: found - others[path] if path in others else found for path, found in these.items()}
    return {path: found for path, found in remaining.items() if found}
