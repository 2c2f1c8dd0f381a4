"""Files that a report is made of: the same data gives the same bytes, and a file is there whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def json_text(document: Mapping[str, Any]) -> str:
    """A JSON object with one line for each entry, and one for each record of a list: what ``diff`` and grep can use."""
    entries = ",\n".join(f"  {_json(name)}: {_entry(value)}" for name, value in document.items())
    return f"{{\n{entries}\n}}\n"


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A header and the rows; a list becomes its members with a space between them, truth reads as in JSON."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place, then move it there.

    Raises:
        OSError: it cannot be written; what stood there before still does.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _cell(value: object) -> object:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return _json(value) if isinstance(value, bool) else value


def _entry(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"    {_json(item)}" for item in value) + "\n  ]"
    return _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
