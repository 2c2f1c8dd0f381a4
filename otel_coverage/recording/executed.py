"""What a recording has executed: plain data that can be compared, added and taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from otel_coverage.symbols import Symbol


@dataclass(frozen=True, slots=True)
class Executed:
    """Functions entered and lines run.

    Attributes:
        functions: symbols whose body was entered or resumed.
        lines: for each file (path as in :class:`~otel_coverage.source.SourceFile`), the numbers of the lines that ran;
            empty at function granularity. No file maps to an empty set.
    """

    functions: frozenset[Symbol] = frozenset()
    lines: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.functions or self.lines)

    def __or__(self, other: Executed) -> Executed:
        paths = self.lines.keys() | other.lines.keys()
        none: frozenset[int] = frozenset()
        return Executed(
            self.functions | other.functions,
            {path: self.lines.get(path, none) | other.lines.get(path, none) for path in paths},
        )

    def __sub__(self, other: Executed) -> Executed:
        """What ran here and is not in ``other``."""
        none: frozenset[int] = frozenset()
        remaining = {path: numbers - other.lines.get(path, none) for path, numbers in self.lines.items()}
        return Executed(
            self.functions - other.functions, {path: numbers for path, numbers in remaining.items() if numbers}
        )
