"""A query's result as text: for a pipe, a spreadsheet, a terminal."""

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

from otel_coverage.store.result import Result


def as_json(result: Result) -> str:
    """An array with one object for each row, a line each."""
    if not result.rows:
        return "[]\n"
    lines = (json.dumps(plain(record), ensure_ascii=False, allow_nan=False) for record in result.records())
    return "[\n" + ",\n".join(lines) + "\n]\n"


def as_csv(result: Result) -> str:
    """A header and a line for each row; what is no plain value is JSON."""
    rows = [result.columns, *([_cell(value) for value in row] for row in result.rows)]
    return "".join(_csv_line(row) for row in rows)


def as_table(result: Result, width: int | None = None) -> str:
    """Columns that line up; ``width`` is the terminal's, None for as wide as it takes."""
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
    """A table as GitHub's Markdown has it; nothing in a cell is read as markup."""
    rows = [result.columns, ["---"] * len(result.columns)]
    rows += [[markdown(_cell(value)) for value in row] for row in result.rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def markdown(text: str) -> str:
    """A text that Markdown shows as it is, on one line."""
    return re.sub(r"[\\`*_{}\[\]<>()#+!|~&$-]", lambda found: "\\" + found[0], printable(text))


FORMATS: Mapping[str, Callable[[Result], str]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
    "markdown": as_markdown,
}
PARQUET = "parquet"  # which the engine itself writes


def plain(value: Any) -> Any:
    """A value of which JSON has a like: times become ISO 8601 in UTC, what is no number null, the rest its text."""
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
    """One line. What the writer quotes depends on the end of line it is told: with this one, both characters."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: Any) -> str:
    value = plain(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def printable(text: str) -> str:
    """A text without what would move a terminal's cursor or break a row."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
