"""The expected matrix, written by hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def table() -> dict[str, frozenset[str]]:
    """Function (as named in the table) → profiles that execute it."""
    rows = [
        line.split()
        for line in (Path(__file__).parent / "expected_matrix.txt").read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]
    head, *body = rows
    found = {}
    for name, *marks in body:
        assert set(marks) <= {"x", "."}, name
        assert name not in found, name
        found[name] = frozenset(slug for slug, mark in zip(head[1:], marks, strict=True) if mark == "x")
    return found


def slugs() -> frozenset[str]:
    """The profiles of the table."""
    return frozenset().union(*table().values())


def name_of(symbol: str) -> str:
    """The table's name of a symbol: with the line only where two functions differ by it."""
    return symbol if symbol in table() else symbol.rpartition("@")[0]
