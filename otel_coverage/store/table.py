"""A query's result as a table for people: never wider than the terminal, no name broken in two.

Cells break between words only. Where not even that makes a table narrow enough, each row becomes a block of lines, one
for each column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

from rich.cells import cell_len

from otel_coverage.printable import printable
from otel_coverage.store.formats import plain
from otel_coverage.store.store import Result

_UNKNOWN = "–"
_NUMBER = re.compile(rf"-?\d+(\.\d+)?( %)?|{_UNKNOWN}", re.ASCII)
_GAP = "  "
_INDENT = "  "


def as_table(
    result: Result, width: int | None = None, *, columns: Sequence[str] = (), groups: Sequence[str] = ()
) -> str:
    """Aligned columns.

    Args:
        result: the rows; equal values of a group have to follow each other.
        width: the characters that a line may have; None for as many as the content takes.
        columns: what to show; empty for every column.
        groups: columns that become headings with a number of rows, the outermost first.
    """
    if not result.rows:
        return "no rows\n"
    groups = tuple(name for name in groups if name in result.columns)
    shown = {name for name in columns if name in result.columns} or set(result.columns)
    places = [place for place, name in enumerate(result.columns) if name in shown.difference(groups)]
    if columns:
        places.sort(key=lambda place: columns.index(result.columns[place]))
    names = [result.columns[place] for place in places]
    cells = [tuple(_text(row[place]) for place in places) for row in result.rows]
    indent = _INDENT * len(groups)
    widths = _widths([names, *cells], None if width is None else width - len(indent))
    right = [all(map(_NUMBER.fullmatch, column)) for column in zip(*cells, strict=True)]
    lines: list[str] = []
    if widths is not None:
        lines += _aligned(names, widths, right, indent)
    for heading, row in zip(_headings(result, groups), cells, strict=True):
        lines += heading
        if widths is not None:
            lines += _aligned(row, widths, right, indent)
        else:
            lines += ["", *_block(names, row, indent)]
    if widths is None and not lines[0]:
        del lines[0]
    return "".join(line.rstrip() + "\n" for line in lines)


def _headings(result: Result, groups: Sequence[str]) -> Iterator[list[str]]:
    """The headings before each row: those of the groups that begin with it."""
    places = [result.columns.index(name) for name in groups]
    keys = [tuple(row[place] for place in places) for row in result.rows]
    sizes: dict[tuple[Any, ...], int] = {}
    for key in keys:
        for depth in range(1, len(key) + 1):
            sizes[key[:depth]] = sizes.get(key[:depth], 0) + 1
    nothing = (object(),) * len(groups)
    for before, key in pairwise([nothing, *keys]):
        first = next((depth for depth, value in enumerate(key) if before[depth] != value), len(key))
        yield [
            f"{_INDENT * depth}{_text(key[depth])} ({sizes[key[: depth + 1]]})"
            for depth in range(first, len(key))
            # a package that is one module needs no second heading
            if depth == 0 or key[depth] != key[depth - 1]
        ]


def _text(value: Any) -> str:
    match plain(value):
        case None:
            return _UNKNOWN
        case bool() as answer:
            return "yes" if answer else "no"
        case list() as members:
            return printable(", ".join(map(str, members)))
        case _ if isinstance(value, datetime):
            aware = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
            return aware.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        case other:
            return printable(str(other))


def _widths(rows: Sequence[Sequence[str]], width: int | None) -> list[int] | None:
    """How wide to make each column; None where no table is as narrow as `width`."""
    columns = list(zip(*rows, strict=True))
    wanted = [max(map(cell_len, column)) for column in columns]
    if width is None:
        return wanted
    least = [max(cell_len(word) for cell in column for word in cell.split() or [""]) for column in columns]
    room = width - len(_GAP) * (len(columns) - 1)
    if sum(least) > room:
        return None
    while sum(wanted) > room:
        widest = max((place for place, each in enumerate(wanted) if each > least[place]), key=wanted.__getitem__)
        wanted[widest] -= 1
    return wanted


def _aligned(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], indent: str) -> Iterator[str]:
    """The lines of a row."""
    wrapped = [_wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for number in range(max(map(len, wrapped))):
        parts = [lines[number] if number < len(lines) else "" for lines in wrapped]
        yield indent + _GAP.join(map(_padded, parts, widths, right))


def _block(names: Sequence[str], cells: Sequence[str], indent: str) -> Iterator[str]:
    """A row with a line for each column."""
    width = max(map(cell_len, names))
    return (f"{indent}{_padded(name, width)}{_GAP}{cell}" for name, cell in zip(names, cells, strict=True))


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a cell: broken between words."""
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _padded(text: str, width: int, right: bool = False) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space
