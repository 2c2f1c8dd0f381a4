"""``docs/sql.md``: its questions, and its answers as the demo gives them.

``python -m tests.end_to_end.cookbook`` runs the demo and writes the answers anew.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from otel_coverage.store import Result
from otel_coverage.store.table import as_table
from tests.end_to_end import two_nights
from tests.end_to_end.played import play

DOCUMENT = Path(__file__).parents[2] / "docs" / "sql.md"

THIS_NIGHT = "this-night"  # beside two_nights.BASE

_NEWEST = (
    "SELECT argMax(revision, last_seen) AS revision, argMax(run, last_seen) AS run FROM coverage_runs WHERE recorded"
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SECTION = re.compile(
    r"(?P<question>^### (?P<title>[^\n]+)\n[^#]*?```sql\n(?P<sql>.*?)\n```\n)(?:\n```text\n.*?```\n)?",
    re.MULTILINE | re.DOTALL,
)


def questions(document: str) -> dict[str, str]:
    """Title → statement."""
    return {found["title"]: found["sql"] for found in _SECTION.finditer(document)}


def answered(document: str, answers: Mapping[str, Iterable[Mapping[str, Any]]]) -> str:
    """The document with an answer below each statement."""
    return _SECTION.sub(lambda found: f"{found['question']}\n```text\n{_table(answers[found['title']])}```\n", document)


def answers(store: Path, document: str) -> dict[str, list[dict[str, Any]]]:
    """Title → rows, in which what differs from demo to demo is replaced: its revision, its run, and dates."""
    found = two_nights.answers(store, questions(document) | {_NEWEST: _NEWEST})
    (newest,) = found.pop(_NEWEST)
    return {
        title: [{column: _stable(cell, newest.values()) for column, cell in row.items()} for row in every]
        for title, every in found.items()
    }


def _stable(cell: Any, newest: Iterable[Any]) -> Any:
    if cell in newest:
        return THIS_NIGHT
    return "…" if isinstance(cell, str) and _DATE.fullmatch(cell) else cell


def _table(records: Iterable[Mapping[str, Any]]) -> str:
    rows = list(records)
    columns = tuple(rows[0]) if rows else ()
    table = as_table(Result(columns, [tuple(row.values()) for row in rows]))
    return "".join(f"{line.rstrip()}\n" for line in table.splitlines())


def _main() -> None:
    with tempfile.TemporaryDirectory(prefix="cookbook-") as folder:
        play(Path(folder))
        store = two_nights.made(Path(folder), Path(folder))
        document = DOCUMENT.read_text()
        DOCUMENT.write_text(answered(document, answers(store, document)))


if __name__ == "__main__":
    _main()
