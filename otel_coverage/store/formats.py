"""A query's result as text: JSON, CSV or Markdown. :mod:`~otel_coverage.store.table` has the one for a terminal."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timezone
from typing import Any

from otel_coverage.printable import printable
from otel_coverage.store.store import Result

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # wide ones count in some locales


def as_json(result: Result) -> str:
    """An array with one object for each row, each on a line of its own."""
    if not result.rows:
        return "[]\n"
    lines = (json_value(record) for record in result.records())
    return "[\n" + ",\n".join(lines) + "\n]\n"


def as_csv(result: Result) -> str:
    """A header and a line for each row; lists and maps are written as JSON, texts as :func:`inert` ones."""
    rows = [map(inert, result.columns), *(map(_cell, row) for row in result.rows)]
    return "".join(_csv_line(list(row)) for row in rows)


def as_markdown(result: Result) -> str:
    """A table in GitHub's Markdown; nothing in a cell is taken for markup."""
    rows = [[markdown(column) for column in result.columns], ["---"] * len(result.columns)]
    rows += [[markdown(_cell(value)) for value in row] for row in result.rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def markdown(text: str) -> str:
    """The text with Markdown's special characters escaped, on one line."""
    return re.sub(r"[\\`*_{}\[\]<>()#+!|~&$-]", lambda found: "\\" + found[0], printable(text))


JSON = "json"
FORMATS: Mapping[str, Callable[[Result], str]] = {
    JSON: as_json,
    "csv": as_csv,
    "markdown": as_markdown,
}
TABLE = "table"  # for a terminal
PARQUET = "parquet"  # written by the engine itself

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def json_value(value: Any, *, compact: bool = False) -> str:
    """JSON on one line. What a terminal may take for a command is escaped, which leaves the value as it is.

    Args:
        value: anything; see :func:`plain`.
        compact: leave out the spaces.
    """
    encoder = _COMPACT if compact else _ENCODER
    try:
        text = encoder.encode(value)
    except (
        TypeError,
        ValueError,
    ):  # it has something that JSON cannot hold; to look for that first takes most of the time
        text = encoder.encode(plain(value))
    return text if text.isprintable() else "".join(map(_json_character, text))


def plain(value: Any) -> Any:
    """A value that JSON can hold: times become ISO 8601 in UTC, NaN and infinity null, other types their text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            aware = value.astimezone(timezone.utc) if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
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


def _json_character(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


def _csv_line(cells: Sequence[str]) -> str:
    """One line. The writer quotes the characters of its line terminator, so CR and LF are both quoted with this one."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: Any) -> str:
    value = plain(value)
    if value is None:
        return ""
    return inert(value) if isinstance(value, str) else json_value(value)


def inert(text: str) -> str:
    """The text as a cell of a CSV file that no spreadsheet takes for a formula: with an apostrophe before its start.

    Control characters are escaped as in :func:`printable`. Follows OWASP's advice on CSV injection.
    """
    text = printable(text)
    return f"'{text}" if text.startswith(_FORMULA) else text
