"""The JSON and CSV files of a report: each is a named query and a shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from otel_coverage.reporting.files import write_csv, write_json
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.reporting.smallest_set import functions_by_profile, smallest_set

SCHEMA_VERSION = 1

_GAP = ("symbol", "kind", "file", "line", "end_line", "executable_lines")
_MODULE = ("module", "functions_covered", "functions_total", "lines_covered", "lines_total", "percent")
_PROFILE = ("profile", "complete", "incomplete_reasons", "incomplete_details", "runs", "failed_runs")
_REDUNDANCY = ("profile", "functions", "unique_functions", "contained_in")
_SYMBOL = ("module", "qualname", "line", "kind", "file", "end_line", "parent", "executable_lines", "covered")

_MATRIX_CSV = ("profile", "symbol", "module", "qualname", "line", "first_seen", "last_seen", "exemplar_trace_id")
_REVERSE_INDEX_CSV = ("symbol", "module", "qualname", "line", "profile_count", "profiles")
_GAPS_CSV = ("symbol", "kind", "module", "qualname", "line", "end_line", "file", "executable_lines")
_LEADERBOARD = (
    "position",
    "profile",
    "functions",
    "functions_covered",
    "functions_total",
    "percent",
    "lines_covered",
    "lines_total",
    "lines_percent",
    "runs",
    "failed_runs",
    "requests",
    "jobs",
    "complete",
    "incomplete_reasons",
    "incomplete_details",
    "first_seen",
    "last_seen",
)


def heading(queries: RevisionQueries) -> dict[str, Any]:
    """What every JSON file begins with: what it is about, and whether coverage is known to be missing."""
    return {
        "schema_version": SCHEMA_VERSION,
        "revision": queries.revision,
        "namespace": queries.namespace,
        "services": list(queries.services),
        "newest_span": timestamp(queries.newest_span),
        "complete": queries.complete,
        "profiles": list(_records(queries.profiles, _PROFILE)),
    }


def timestamp(moment: datetime) -> str:
    """ISO 8601, in UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def leaderboard(queries: RevisionQueries) -> list[dict[str, Any]]:
    """The records of ``leaderboard.json``: the profiles, those that execute the most functions first.

    ``functions`` counts all that were executed, ``functions_covered`` and ``lines_covered`` those of the catalog.
    """
    return list(_records(queries.leaderboard, _LEADERBOARD))


def _write_matrix(queries: RevisionQueries, folder: Path) -> None:
    """The JSON has a record for each profile, the CSV a row for each profile and function."""
    rows = queries.ask("matrix").records()
    matrix = (
        {"profile": profile, "symbols": [row["symbol"] for row in executed]}
        for profile, executed in groupby(rows, key=lambda row: row["profile"])
    )
    write_json(folder / "matrix.json", {**heading(queries), "matrix": matrix})
    _write_csv(folder / "matrix.csv", _MATRIX_CSV, rows)


def _write_reverse_index(queries: RevisionQueries, folder: Path) -> None:
    rows = queries.ask("reverse-index").records()
    index = _records(rows, ("symbol", "profiles"))
    write_json(folder / "reverse-index.json", {**heading(queries), "reverse_index": index})
    _write_csv(folder / "reverse-index.csv", _REVERSE_INDEX_CSV, rows)


def _write_redundancy(queries: RevisionQueries, folder: Path) -> None:
    """What each profile adds to the others, and a small set of them that executes as much as all."""
    executed = functions_by_profile(queries.ask("reverse-index").records())
    document = {
        **heading(queries),
        "redundancy": _records(queries.ask("redundancy").records(), _REDUNDANCY),
        "smallest_set": [asdict(step) for step in smallest_set(executed)],
    }
    write_json(folder / "redundancy.json", document)


def _write_gaps(queries: RevisionQueries, folder: Path) -> None:
    """``catalog`` is false where none was pushed for the revision: then nothing is known about gaps."""
    rows = queries.ask("gaps").records()
    document = {
        **heading(queries),
        "catalog": queries.has_catalog,
        "modules": _records(queries.modules, _MODULE),
        "gaps": _records(rows, _GAP),
    }
    write_json(folder / "gaps.json", document)
    _write_csv(folder / "gaps.csv", _GAPS_CSV, rows)


def _write_leaderboard(queries: RevisionQueries, folder: Path) -> None:
    records = leaderboard(queries)
    write_json(folder / "leaderboard.json", {**heading(queries), "leaderboard": records})
    rows = ([_joined(record[column]) for column in _LEADERBOARD] for record in records)
    write_csv(folder / "leaderboard.csv", _LEADERBOARD, rows)


def _write_symbols(queries: RevisionQueries, folder: Path) -> None:
    rows = queries.ask("catalog").records()
    symbols = ({"id": row["symbol"], **record} for row, record in zip(rows, _records(rows, _SYMBOL), strict=True))
    write_json(folder / "symbols.json", {**heading(queries), "symbols": symbols})


ARTIFACTS: tuple[Callable[[RevisionQueries, Path], None], ...] = (
    _write_matrix,
    _write_reverse_index,
    _write_gaps,
    _write_leaderboard,
    _write_redundancy,
    _write_symbols,
)


def _records(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Some columns of each row, as JSON has them."""
    return ({column: _value(row[column]) for column in columns} for row in rows)


def _write_csv(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> None:
    write_csv(path, columns, ([_value(row[column]) for column in columns] for row in rows))


def _value(value: Any) -> Any:
    return timestamp(value) if isinstance(value, datetime) else value


def _joined(value: object) -> object:
    return "; ".join(map(str, value)) if isinstance(value, list) else value
