"""``history.json`` and ``history.csv``: coverage, completeness and duration of the last revisions, the oldest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from otel_coverage.reporting.files import write_csv, write_json
from otel_coverage.reporting.heading import heading
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.reporting.times import timestamp
from otel_coverage.store.named_queries import named_query
from otel_coverage.store.stored_spans import short_profiles

LENGTH = 10


@dataclass(frozen=True, slots=True)
class Point:
    """One revision.

    Attributes:
        revision: its name.
        first_span, newest_span: when its first and its newest span began.
        runs, profiles: how many there are.
        failed_profiles: profiles of which a run that counts failed.
        incomplete_profiles: profiles of which coverage is missing.
        complete: whether neither is so, and nothing else is known to be missing: else the figures may be too low.
        functions: how many profiles execute, in the catalog or not.
        functions_covered, functions_total, percent, lines_covered, lines_total, lines_percent: of the catalog; None
            where none was pushed.
        duration_ms: how long the newest run that counts took, from the begin of its first span to that of its last.
    """

    revision: str
    first_span: str
    newest_span: str
    runs: int
    profiles: int
    failed_profiles: int
    incomplete_profiles: int
    complete: bool
    functions: int
    functions_covered: int | None
    functions_total: int | None
    percent: float | None
    lines_covered: int | None
    lines_total: int | None
    lines_percent: float | None
    duration_ms: int | None


_TOTALS = named_query("history").sql
_RUNS = """
SELECT toString(revision) AS revision, toString(profile) AS profile, run, outcome, complete, first_seen, last_seen
FROM profile_runs
WHERE namespace = {namespace:String} AND revision = {revision:String} AND counted
"""

COLUMNS = tuple(field.name for field in fields(Point))


def history(queries: RevisionQueries, length: int = LENGTH) -> tuple[Point, ...]:
    """The revision of a report and those that were traced last before it, the oldest first.

    All are of the services and profiles of the report; of other revisions all runs count.

    Args:
        queries: the report's, of an open store.
        length: how many revisions at most.

    Raises:
        StoreError: the engine refuses.
    """
    return tuple(_points(queries, queries.revisions[:length]))[::-1]


def write_history(queries: RevisionQueries, points: tuple[Point, ...], folder: Path) -> None:
    """Write the two files; each revision is a row of the CSV."""
    records = [{column: getattr(point, column) for column in COLUMNS} for point in points]
    write_json(folder / "history.json", {**heading(queries), "history": records})
    write_csv(folder / "history.csv", COLUMNS, (list(record.values()) for record in records))


def _points(queries: RevisionQueries, rows: list[dict[str, Any]]) -> Iterator[Point]:
    others = [row["revision"] for row in rows if row["revision"] != queries.revision]
    selection = replace(queries.selection, runs=(), since="", straddling=(), named=(), absent=())
    of_others = replace(queries, selection=selection, expected=())
    # all of them at once: the engine takes longer to plan these queries than to answer them
    totals = {row["revision"]: row for row in of_others.of_revisions(_TOTALS, others)} if others else {}
    runs: dict[str, list[dict[str, Any]]] = {}
    for each in of_others.of_revisions(_RUNS, others) if others else ():
        runs.setdefault(each["revision"], []).append(each)
    short = short_profiles(queries.store, queries.namespace, others) if others else {}
    for row in rows:
        revision = row["revision"]
        if revision == queries.revision:
            of_report = {**row, "last_seen": queries.newest_span, "runs": queries.run_count}  # its runs alone
            counted = [each for each in queries.runs if each["counted"]]
            yield _point(of_report, counted, queries.totals, bool(queries.problems))
        else:
            # of the runs before a newer revision none is said to be lost
            damage = replace(of_others, revision=revision).damage_beside(short[revision])
            yield _point(row, runs.get(revision, []), totals[revision], any(damage))


def _point(row: Mapping[str, Any], counted: list[dict[str, Any]], totals: Mapping[str, Any], is_damaged: bool) -> Point:
    """A point, of a row of the named query ``revisions``, its runs that count, and what they execute."""
    failed = {each["profile"] for each in counted if each["outcome"] == "failed"}
    incomplete = {each["profile"] for each in counted if not each["complete"]}
    has_catalog = bool(totals["functions_total"])

    def known(name: str) -> Any:
        return totals[name] if has_catalog else None

    return Point(
        revision=row["revision"],
        first_span=timestamp(min((each["first_seen"] for each in counted), default=row["first_seen"])),
        newest_span=timestamp(row["last_seen"]),
        runs=row["runs"],
        profiles=len({each["profile"] for each in counted}),
        failed_profiles=len(failed),
        incomplete_profiles=len(incomplete),
        complete=not failed and not incomplete and not is_damaged,
        functions=totals["functions"],
        functions_covered=known("functions_covered"),
        functions_total=known("functions_total"),
        percent=known("percent"),
        lines_covered=known("lines_covered"),
        lines_total=known("lines_total"),
        lines_percent=known("lines_percent"),
        duration_ms=_duration(counted),
    )


def _duration(counted: list[dict[str, Any]]) -> int | None:
    """Milliseconds of the newest run, all of its profiles together."""
    if not counted:
        return None
    newest = max(counted, key=lambda each: (each["last_seen"], each["run"]))["run"]
    spans: list[tuple[datetime, datetime]] = [
        (each["first_seen"], each["last_seen"]) for each in counted if each["run"] == newest
    ]
    took = max(last for _, last in spans) - min(first for first, _ in spans)
    return int(took / timedelta(milliseconds=1))
