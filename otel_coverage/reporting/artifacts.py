"""The JSON, CSV and Parquet files of a report: each is a named query and a shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from otel_coverage.reporting.arrow import NAME, write_parquet
from otel_coverage.reporting.files import Json, Wanted, every_file, write_csv, write_json
from otel_coverage.reporting.heading import heading, json_value, records
from otel_coverage.reporting.matrix import write_matrix
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.reporting.reverse_index import write_reverse_index
from otel_coverage.reporting.smallest_set import smallest_of

_GAP = ("symbol", "kind", "file", "line", "end_line", "executable_lines", "at_startup", "certain")
_MODULE = (
    "module",
    "functions_covered",
    "functions_total",
    "functions_at_startup",
    "lines_covered",
    "lines_total",
    "percent",
)
_REDUNDANCY = ("profile", "functions", "unique_functions", "contained_in", "complete")
_SYMBOL = ("module", "qualname", "line", "kind", "file", "end_line", "parent", "executable_lines", "covered")

_ENTRY_POINT = (
    "service",
    "kind",
    "entry_point",
    "symbol",
    "requests",
    "functions",
    "lines",
    "p50_ms",
    "p95_ms",
    "exemplar_trace_id",
    "profiles",
)
_ENTRY_POINT_GAP = ("service", "kind", "entry_point", "symbol", "method", "endpoint")

_GAPS_CSV = (
    "symbol",
    "kind",
    "module",
    "qualname",
    "line",
    "end_line",
    "file",
    "executable_lines",
    "at_startup",
    "certain",
)
_GAP_COLUMNS = pa.schema(
    {
        "symbol": pa.string(),
        "kind": NAME,
        "module": NAME,
        "qualname": pa.string(),
        "line": pa.uint32(),
        "end_line": pa.uint32(),
        "file": NAME,
        "executable_lines": pa.uint32(),
        "at_startup": pa.bool_(),
        "certain": pa.bool_(),
    }
)
_ENTRY_POINT_COLUMNS = pa.schema(
    {
        "service": NAME,
        "kind": NAME,
        "entry_point": pa.string(),
        "symbol": pa.string(),
        "requests": pa.uint64(),
        "functions": pa.uint64(),
        "lines": pa.uint64(),
        "p50_ms": pa.float64(),
        "p95_ms": pa.float64(),
        "exemplar_trace_id": pa.string(),
        "profiles": pa.list_(pa.string()),
    }
)
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
    "counted_runs",
    "requests",
    "jobs",
    "complete",
    "incomplete_reasons",
    "incomplete_details",
    "first_seen",
    "last_seen",
)


def leaderboard(queries: RevisionQueries) -> list[dict[str, Any]]:
    """The records of ``leaderboard.json``: the profiles, those that execute the most functions first.

    ``functions`` counts all that were executed, ``functions_covered`` and ``lines_covered`` those of the catalog.
    """
    return list(records(queries.leaderboard, _LEADERBOARD))


def _write_redundancy(queries: RevisionQueries, folder: Path, wants: Wanted = every_file) -> None:
    """What each profile adds to the others, and a small set of them that executes as much as all."""
    executed = dict(zip(queries.executed.profiles, queries.executed.sets, strict=True))
    document = {
        **heading(queries),
        "redundancy": records(queries.redundancy, _REDUNDANCY),
        "smallest_set": [asdict(step) for step in smallest_of(executed)],
    }
    write_json(folder / "redundancy.json", document)


def _write_gaps(queries: RevisionQueries, folder: Path, wants: Wanted = every_file) -> None:
    """``catalog`` is false where none was pushed for the revision: then nothing is known about gaps.

    ``startup`` is false where no start of a process was recorded: then no gap is known to run at start. ``certain`` is
    false where a playback failed or coverage is missing: then each of the gaps may have been executed.
    """
    rows = queries.gaps
    document = {
        **heading(queries),
        "catalog": queries.has_catalog,
        "startup": queries.totals["startup_recorded"],
        "certain": queries.complete,
        "modules": records(queries.modules, _MODULE),
        "gaps": records(rows, _GAP),
    }
    if wants("gaps.json"):
        write_json(folder / "gaps.json", document)
    if wants("gaps.csv"):
        _write_csv(folder / "gaps.csv", _GAPS_CSV, rows)
    if wants("gaps.parquet"):
        write_parquet(folder / "gaps.parquet", _GAP_COLUMNS, rows)


def _write_entry_points(queries: RevisionQueries, folder: Path, wants: Wanted = every_file) -> None:
    """``symbol_entry_points`` has for each of ``symbols`` the entry points that lead to it, each with the profiles that
    went that way: both as positions in the lists of this file, from 0, those of profiles as
    :func:`~otel_coverage.reporting.arrow.steps_as_json`.

    ``url_maps`` names the services that reported their URL map: of others no route is known that no profile asks for.
    ``certain`` is as in ``gaps.json``.
    """
    found = queries.entry_points
    if wants("entry-points.csv"):
        _write_csv(folder / "entry-points.csv", _ENTRY_POINT, found)
    if wants("entry-points.parquet"):
        write_parquet(folder / "entry-points.parquet", _ENTRY_POINT_COLUMNS, found)
    if not wants("entry-points.json"):
        return
    position = {_key(row): number for number, row in enumerate(found)}
    reached = [
        (symbol, [(position[each.entry_point], each.profiles) for each in ways if each.entry_point in position])
        for symbol, ways in groupby(queries.reached, key=lambda each: each.symbol)
    ]
    document = {
        **heading(queries),
        "url_maps": queries.url_maps,
        "certain": queries.complete,
        "entry_points": records(found, _ENTRY_POINT),
        "gaps": records(queries.entry_point_gaps, _ENTRY_POINT_GAP),
        "symbols": [symbol for symbol, _ in reached],
        "symbol_entry_points": (
            Json(f"[{','.join(f'[{number},{profiles}]' for number, profiles in ways)}]") for _, ways in reached
        ),
    }
    write_json(folder / "entry-points.json", document)


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["service"], row["kind"], row["entry_point"]


def _write_leaderboard(queries: RevisionQueries, folder: Path, wants: Wanted = every_file) -> None:
    ranked = leaderboard(queries)
    if wants("leaderboard.json"):
        write_json(folder / "leaderboard.json", {**heading(queries), "leaderboard": ranked})
    if wants("leaderboard.csv"):
        rows = ([_joined(record[column]) for column in _LEADERBOARD] for record in ranked)
        write_csv(folder / "leaderboard.csv", _LEADERBOARD, rows)


def _write_symbols(queries: RevisionQueries, folder: Path, wants: Wanted = every_file) -> None:
    rows = queries.catalog
    symbols = ({"id": row["symbol"], **record} for row, record in zip(rows, records(rows, _SYMBOL), strict=True))
    write_json(folder / "symbols.json", {**heading(queries), "symbols": symbols})


class Artifact(Protocol):
    """Writes the files of one name, those that are wanted, into a folder."""

    def __call__(self, queries: RevisionQueries, folder: Path, wants: Wanted = every_file) -> None:
        """Raises what the store and the folder raise."""


# by the name that its files have, whatever their endings
ARTIFACTS: Mapping[str, Artifact] = {
    "matrix": write_matrix,
    "reverse-index": write_reverse_index,
    "gaps": _write_gaps,
    "entry-points": _write_entry_points,
    "leaderboard": _write_leaderboard,
    "redundancy": _write_redundancy,
    "symbols": _write_symbols,
}


def _write_csv(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> None:
    write_csv(path, columns, ([json_value(row[column]) for column in columns] for row in rows))


def _joined(value: object) -> object:
    return "; ".join(map(str, value)) if isinstance(value, list) else value
