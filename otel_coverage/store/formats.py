"""A query's result as text: JSON, CSV, Markdown, or a table for a terminal."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from otel_coverage.store.store import Result


def as_json(result: Result) -> str:
    """An array with one object for each row, each on a line of its own."""
    if not result.rows:
        return "[]\n"
    lines = (json.dumps(plain(record), ensure_ascii=False, allow_nan=False) for record in result.records())
    return "[\n" + ",\n".join(lines) + "\n]\n"


def as_csv(result: Result) -> str:
    """A header and a line for each row; lists and maps are written as JSON."""
    rows = [result.columns, *([_cell(value) for value in row] for row in result.rows)]
    return "".join(_csv_line(row) for row in rows)


def as_table(result: Result, width: int | None = None) -> str:
    """Aligned columns, at most ``width`` characters wide; None for as wide as the content."""
    if not result.rows:
        return "no rows\n"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in result.columns:
        table.add_column(Text(printable(column)), overflow="fold")
    for row in result.rows:
        table.add_row(*(Text(printable(_cell(value))) for value in row))
    text = io.StringIO()
    Console(file=text, width=width or 100_000, color_system=None).print(table)
    return "".join(line.rstrip() + "\n" for line in text.getvalue().splitlines())


def as_markdown(result: Result) -> str:
    """A table in GitHub's Markdown; nothing in a cell is taken for markup."""
    rows = [result.columns, ["---"] * len(result.columns)]
    rows += [[markdown(_cell(value)) for value in row] for row in result.rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def markdown(text: str) -> str:
    """The text with Markdown's special characters escaped, on one line."""
    return re.sub(r"[\\`*_{}\[\]<>()#+!|~&$-]", lambda found: "\\" + found[0], printable(text))


FORMATS: Mapping[str, Callable[[Result], str]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
    "markdown": as_markdown,
}
PARQUET = "parquet"  # written by the engine itself


def plain(value: Any) -> Any:
    """A value that JSON can hold: times become ISO 8601 in UTC, NaN and infinity null, other types their text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            aware = value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)
            return aware.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case _:
            return str(value)


def _csv_line(cells: Sequence[str]) -> str:
    """One line. The writer quotes the characters of its line terminator, so CR and LF are both quoted with this one."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: Any) -> str:
    value = plain(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def printable(text: str) -> str:
    """The text with control characters and line breaks escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
