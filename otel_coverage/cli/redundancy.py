"""``otel-coverage redundancy``."""

from __future__ import annotations

import shutil
import sys
from dataclasses import astuple, fields

import click

from otel_coverage.reporting.smallest_set import Step, find
from otel_coverage.store import Result, open_store
from otel_coverage.store.formats import FORMATS, as_table


@click.command()
@click.option("--store", "dsn", required=True, envvar="OTEL_COVERAGE_STORE", help="The store.")
@click.option(
    "--keep",
    type=click.FloatRange(0, 100),
    default=100.0,
    show_default=True,
    help="How much of what all profiles execute the set has to execute, in percent.",
)
@click.option("--revision", default="", metavar="REV", help="[the newest that was traced]")
@click.option("--namespace", default="", metavar="NAME", help="service.namespace [empty]")
@click.option(
    "--format", "output", type=click.Choice(sorted(FORMATS)), help="By default a table on a terminal, else JSON."
)
def command(dsn: str, keep: float, revision: str, namespace: str, output: str | None) -> None:
    """Find a small set of profiles that executes what all of them execute.

    Profiles that are not in it add nothing to it. `query redundancy` says what each profile alone reaches.

    \b
    Examples:
      otel-coverage redundancy --store chdb:///var/lib/coverage
      otel-coverage redundancy --keep 95 --format csv
    """
    with open_store(dsn, read_only=True) as store:
        steps = find(store, namespace=namespace, revision=revision, keep=keep)
    result = Result(tuple(field.name for field in fields(Step)), [astuple(step) for step in steps])
    if output is None and sys.stdout.isatty():
        click.echo(as_table(result, shutil.get_terminal_size().columns), nl=False)
    else:
        click.echo(FORMATS[output or "json"](result), nl=False)
