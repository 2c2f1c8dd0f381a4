"""A report's main figures on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from otel_coverage.printable import printable
from otel_coverage.reporting.changes.sentences import sentences
from otel_coverage.reporting.packages import packages_with_gaps
from otel_coverage.reporting.queries import RevisionQueries, doubts
from otel_coverage.reporting.report import Report
from otel_coverage.reporting.selection import Selection
from otel_coverage.reporting.summary import share
from otel_coverage.store import Result
from otel_coverage.store.table import as_table

_PACKAGES_SHOWN = 5
_MODULES_SHOWN = 3  # of a package


def show(report: Report, console: Console) -> None:
    """Print which profile covers how much, what changed, the largest gaps, and where the files are."""
    queries = report.queries
    console.print(Text(f"Coverage of revision {printable(queries.revision) or 'unknown'}", style="bold"))
    for line in _selected(queries.selection):
        console.print(Text(printable(line)))
    for row in queries.profiles:
        if doubt := doubts(row):
            console.print(Text(printable(f"incomplete: {row['profile']}: {doubt}"), style="yellow"))
    for note in report.notes:
        console.print(Text(note, style="yellow"))
    if report.comparison is not None:
        base = printable(report.comparison.base.revision) or "unknown"
        console.print(Text(f"since {base}:"), soft_wrap=True)
        for sentence in sentences(report.comparison):
            console.print(Text(f"  {printable(sentence)}"), soft_wrap=True)
    width = console.width if console.is_terminal else None
    for table in (_profiles(queries, width), _gaps(queries, width)):
        console.print(Text(table), soft_wrap=True)
    console.print(
        Text(printable(f"{len(report.files)} files in {report.out}; start with {report.out / 'summary.md'}")),
        soft_wrap=True,
    )


def _selected(selection: Selection) -> Iterator[str]:
    for what, names in (("runs", selection.runs), ("profiles", selection.profiles)):
        if names:
            since = f", since {selection.since}" if selection.since and what == "runs" else ""
            yield f"only {what} {', '.join(names)}{since}"


def _profiles(queries: RevisionQueries, width: int | None) -> str:
    columns = ("profile", "functions", "of all", "lines", "of all", "requests", "jobs", "complete")
    rows = [
        (
            row["profile"],
            row["functions"],
            share(row["percent"]),
            row["lines_covered"],
            share(row["lines_percent"]),
            row["requests"],
            row["jobs"],
            not doubts(row),
        )
        for row in queries.leaderboard
    ]
    return as_table(Result(columns, rows), width)


def _gaps(queries: RevisionQueries, width: int | None) -> str:
    packages = packages_with_gaps(queries.modules)
    if not packages:
        return "No gaps.\n" if queries.has_catalog else "No catalog, so no gaps are known.\n"
    uncertain = "" if queries.complete else "Coverage is missing, so each of these gaps may have been executed.\n"
    rows: list[tuple[object, ...]] = []
    for package in packages[:_PACKAGES_SHOWN]:
        rows.append((package.name, *_gap(queries, package.row)))
        if not package.is_module:
            rows += [(f"  {module['module']}", *_gap(queries, module)) for module in package.modules[:_MODULES_SHOWN]]
    return uncertain + as_table(
        Result(("largest gaps", "not executed", "at start only", "functions", "lines"), rows), width
    )


def _gap(queries: RevisionQueries, row: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        row["functions_total"] - row["functions_covered"],
        row["functions_at_startup"] if queries.totals["startup_recorded"] else None,
        row["functions_total"],
        share(row["lines_percent"]),
    )
