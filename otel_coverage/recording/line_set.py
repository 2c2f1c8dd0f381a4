"""A set of line numbers that takes a bit for each line of its file, and is written as ranges only once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

_RUN = re.compile("1+")


class LineSet(AbstractSet[int]):
    """Immutable; equal to any other set of the same numbers.

    Sets of lines are kept for as long as requests may run the same again. A frozenset takes a hundred times the memory.

    Args:
        bits: bit n is set where line n is in the set.
        ranges: the set as text, where it is known.
    """

    __slots__ = ("_ranges", "bits")

    def __init__(self, bits: int = 0, ranges: str | None = None) -> None:
        self.bits = bits
        self._ranges = ranges

    @classmethod
    def of(cls, numbers: Iterable[int]) -> LineSet:
        """The set of these numbers, none of them below zero."""
        numbers = list(numbers)
        if not numbers:
            return cls()
        digits = bytearray(b"0") * (max(numbers) + 1)
        one = ord("1")
        for number in numbers:
            digits[number] = one
        return cls(int(digits[::-1], 2))

    @property
    def ranges(self) -> str:
        """The numbers in ascending order, runs of them as first and last: ``40-44,47``."""
        if self._ranges is None:
            self._ranges = ",".join([f"{first}-{last}" if first != last else f"{first}" for first, last in self.runs()])
        return self._ranges

    def runs(self) -> Iterator[tuple[int, int]]:
        """The first and the last of each run of consecutive numbers, in ascending order."""
        for found in _RUN.finditer(f"{self.bits:b}"[::-1]):
            first, end = found.span()
            yield first, end - 1

    def __iter__(self) -> Iterator[int]:
        return (number for first, last in self.runs() for number in range(first, last + 1))

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number >= 0 and bool(self.bits >> number & 1)

    def __len__(self) -> int:
        return self.bits.bit_count()

    def __bool__(self) -> bool:
        return self.bits != 0

    def __eq__(self, other: object) -> bool:
        return self.bits == other.bits if isinstance(other, LineSet) else super().__eq__(other)

    def __hash__(self) -> int:
        return self._hash()  # that of an equal frozenset

    def __or__(self, other: AbstractSet[int]) -> LineSet:  # type: ignore[override]
        return LineSet(self.bits | _bits_of(other))

    def __and__(self, other: Iterable[object]) -> LineSet:
        return LineSet(self.bits & _bits_of(other))

    def __sub__(self, other: AbstractSet[object]) -> LineSet:
        return LineSet(self.bits & ~_bits_of(other))

    __ror__ = __or__
    __rand__ = __and__

    def __rsub__(self, other: AbstractSet[int]) -> LineSet:
        return LineSet(_bits_of(other) & ~self.bits)

    def __repr__(self) -> str:
        return f"LineSet({{{self.ranges}}})"


def _bits_of(numbers: Iterable[object]) -> int:
    if isinstance(numbers, LineSet):
        return numbers.bits
    return LineSet.of(number for number in numbers if isinstance(number, int)).bits
