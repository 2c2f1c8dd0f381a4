"""A report's main figures on a terminal."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from otel_coverage.reporting.queries import RevisionQueries, doubts
from otel_coverage.reporting.report import Report
from otel_coverage.reporting.summary import share
from otel_coverage.store.formats import printable

_MODULES_SHOWN = 5


def show(report: Report, console: Console) -> None:
    """Print which profile covers how much, the largest gaps, and where the files are."""
    queries = report.queries
    console.print(Text(f"Coverage of revision {printable(queries.revision) or 'unknown'}", style="bold"))
    for row in queries.profiles:
        if doubt := doubts(row):
            console.print(Text(printable(f"incomplete: {row['profile']}: {doubt}"), style="yellow"))
    for note in report.notes:
        console.print(Text(note, style="yellow"))
    console.print(Group(_profiles(queries), Text(""), _gaps(queries), Text("")))
    console.print(
        Text(f"{len(report.files)} files in {report.out}; start with {report.out / 'summary.md'}"), soft_wrap=True
    )


def _profiles(queries: RevisionQueries) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("profile", overflow="fold")
    for name in ("functions", "of all", "lines", "of all", "requests", "jobs", "complete"):
        table.add_column(name, justify="right")
    for row in queries.leaderboard:
        table.add_row(
            Text(printable(row["profile"])),
            str(row["functions"]),
            share(row["percent"]),
            str(row["lines_covered"]),
            share(row["lines_percent"]),
            str(row["requests"]),
            str(row["jobs"]),
            "no" if doubts(row) else "yes",
        )
    return table


def _gaps(queries: RevisionQueries) -> RenderableType:
    modules = [row for row in queries.modules if row["functions_covered"] < row["functions_total"]]
    if not modules:
        return Text("No gaps." if queries.has_catalog else "No catalog, so no gaps are known.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("largest gaps", overflow="fold")
    for name in ("never executed", "functions", "lines"):
        table.add_column(name, justify="right")
    for row in modules[:_MODULES_SHOWN]:
        table.add_row(
            Text(printable(row["module"])),
            str(row["functions_total"] - row["functions_covered"]),
            str(row["functions_total"]),
            share(row["lines_percent"]),
        )
    return table
