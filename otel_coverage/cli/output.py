"""Printing a query's result, in the format that was asked for or is due."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import click
from rich.console import Console

from otel_coverage.cli.audience import read_by_people
from otel_coverage.store.formats import FORMATS, JSON, TABLE
from otel_coverage.store.store import Result
from otel_coverage.store.table import as_table


def console() -> Console:
    """For tables: as wide as they are where no terminal has a width; colours obey NO_COLOR."""
    return Console() if sys.stdout.isatty() else Console(width=10_000)


def terminal_width() -> int | None:
    """Characters in a line of the terminal; None where stdout is not one, and tables may be as wide as they are."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def chosen(output: str | None) -> str:
    """The format that was asked for, or the default one."""
    return output or (TABLE if read_by_people() else JSON)


def show(
    result: Result,
    output: str | None,
    *,
    columns: Sequence[str] = (),
    groups: Sequence[str] = (),
    fold: bool = True,
) -> None:
    """Print a query's result.

    Args:
        result: its rows.
        output: the format; None for the default one.
        columns: those that a table shows; empty for all.
        groups: those that a table shows as headings.
        fold: whether a table has to be as narrow as the terminal.
    """
    if chosen(output) != TABLE:
        click.echo(FORMATS[chosen(output)](result), nl=False)
        return
    click.echo(as_table(result, terminal_width() if fold else None, columns=columns, groups=groups), nl=False)
    hidden = [name for name in result.columns if columns and name not in (*columns, *groups)]
    if hidden and result.rows and sys.stdout.isatty():
        click.echo(f"not shown: {', '.join(hidden)}; --wide shows all", err=True)
