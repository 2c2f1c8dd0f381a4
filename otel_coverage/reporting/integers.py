"""Sets of small integers, which stand for names."""

from __future__ import annotations

from collections.abc import Sequence


def bits(members: Sequence[int], size: int) -> int:
    """A set of numbers below `size` as an integer with a bit for each."""
    digits = bytearray(b"0") * (size or 1)
    for member in members:
        digits[-1 - member] = 0x31  # "1"
    return int(digits, 2)
