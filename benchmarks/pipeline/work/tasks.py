"""Jobs: one of about 2 ms, and one that does nothing."""

from __future__ import annotations


def small() -> int:
    """About 2 ms of arithmetic in some functions."""
    return sum(squares(number) for number in range(25))


def squares(number: int) -> int:
    """Part of it."""
    total = 0
    for each in range(300):
        total += square(each + number)
    return total


def square(number: int) -> int:
    """Part of that."""
    return number * number


def nothing() -> None:
    """No work."""
