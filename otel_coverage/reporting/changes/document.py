"""A comparison as JSON and CSV: ``diff.json`` and ``diff.csv`` of a report, and what ``otel-coverage diff`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from otel_coverage.reporting.changes.comparison import Comparison, Difference
from otel_coverage.reporting.files import COMPARISON, write_csv, write_json
from otel_coverage.reporting.heading import heading

_COLUMNS = (
    "change",
    "certain",
    "code",
    "symbol",
    "module",
    "qualname",
    "line",
    "file",
    "gained_by",
    "lost_by",
    "unknown",
    "lines_gained",
    "lines_lost",
    "lines_unknown",
)


def document(comparison: Comparison) -> dict[str, Any]:
    """The object of ``diff.json``; its last three values are iterators.

    ``catalog`` is false where one of the two revisions has none: then what became of the code, and which lines were
    gained and lost, is not known. ``change`` is null where all profiles together execute it at both or at neither.
    """
    return {
        **heading(comparison.now),
        "baseline": {key: value for key, value in heading(comparison.base).items() if key != "schema_version"},
        "catalog": comparison.code.known,
        "counts": comparison.counts,
        "by_profile": [asdict(each) for each in comparison.profiles],
        "functions": functions(comparison),
        "code": (asdict(each) for each in comparison.code_changes),
        "entry_points": entry_points(comparison),
    }


def functions(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """The functions that other profiles execute than before, or of which other lines are executed."""
    for each in comparison.functions:
        record = {
            **_difference(each.difference),
            **{name: getattr(each, name) for name in ("code", "symbol", "module", "qualname", "line", "file")},
            "lines_gained": list(each.lines_gained) if comparison.lines_known else None,
            "lines_lost": list(each.lines_lost) if comparison.lines_known else None,
            "lines_unknown": list(each.lines_unknown) if comparison.lines_known else None,
        }
        yield {column: record[column] for column in _COLUMNS}


def entry_points(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """The routes, jobs and commands that other profiles reach than before, and new ones."""
    for each in comparison.entry_points:
        where = {"service": each.service, "kind": each.kind, "entry_point": each.entry_point}
        yield {**where, "exists": each.exists, "is_new": each.is_new, **_difference(each.difference)}


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write ``diff.json`` and ``diff.csv``, which has a row for each function."""
    json_name, csv_name = COMPARISON
    write_json(folder / json_name, document(comparison))
    rows = ([record[column] for column in _COLUMNS] for record in functions(comparison))
    write_csv(folder / csv_name, _COLUMNS, rows)


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "change": difference.change or None,
        "certain": difference.certain,
        "gained_by": list(difference.gained_by),
        "lost_by": list(difference.lost_by),
        "unknown": list(difference.unknown),
    }
