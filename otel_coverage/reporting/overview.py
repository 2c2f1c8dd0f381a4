"""A report's main figures on a terminal."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from otel_coverage.reporting.notes import doubts
from otel_coverage.reporting.renderers.heading import percent
from otel_coverage.reporting.renderers.leaderboard import leaderboard
from otel_coverage.reporting.report import Report
from otel_coverage.store.formats import printable

_MODULES_SHOWN = 5


def show(report: Report, console: Console) -> None:
    """Print which profile covers how much, the largest gaps, and where the files are."""
    findings = report.findings
    console.print(Text(f"Coverage of revision {printable(findings.revision) or 'unknown'}", style="bold"))
    for profile in findings.doubtful:
        console.print(Text(printable(f"incomplete: {profile.name}: {doubts(profile)}"), style="yellow"))
    for note in report.notes:
        console.print(Text(note, style="yellow"))
    console.print(Group(_profiles(report), Text(""), _gaps(report), Text("")))
    console.print(
        Text(f"{len(report.files)} files in {report.out}; start with {report.out / 'summary.md'}"), soft_wrap=True
    )


def _profiles(report: Report) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("profile", overflow="fold")
    for name in ("functions", "of all", "lines", "of all", "requests", "jobs", "complete"):
        table.add_column(name, justify="right")
    for record in leaderboard(report.findings):
        table.add_row(
            Text(printable(record["profile"])),
            str(record["functions"]),
            _percent(record["percent"]),
            str(record["lines_covered"]),
            _percent(record["lines_percent"]),
            str(record["requests"]),
            str(record["jobs"]),
            "yes" if record["complete"] and not record["failed_runs"] else "no",
        )
    return table


def _gaps(report: Report) -> RenderableType:
    modules = [module for module in report.findings.modules if module.functions_covered < module.functions_total]
    if not modules:
        return Text("No gaps." if report.findings.catalog else "No catalog, so no gaps are known.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("largest gaps", overflow="fold")
    for name in ("never executed", "functions", "lines"):
        table.add_column(name, justify="right")
    for module in modules[:_MODULES_SHOWN]:
        table.add_row(
            Text(printable(module.module)),
            str(module.functions_total - module.functions_covered),
            str(module.functions_total),
            _percent(percent(module.lines_covered, module.lines_total)),
        )
    return table


def _percent(value: float | None) -> str:
    return f"{value} %" if value is not None else "–"
