"""``otel-coverage schema``."""

from __future__ import annotations

import click

from otel_coverage.store import open_store, schema


@click.group()
def command() -> None:
    """Create or show the tables and views.

    \b
    Examples:
      otel-coverage schema apply --store clickhouse://user:password@host:8123/otel
      otel-coverage schema show | less
    """


@command.command()
@click.option(
    "--store", "dsn", required=True, envvar="OTEL_COVERAGE_STORE", help="The store; made where there is none."
)
def apply(dsn: str) -> None:
    """Create what the store lacks, replace views that changed. May be run as often as one likes."""
    with open_store(dsn, create=True) as store:
        applied = schema.apply(store)
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("nothing to do: the schema is this version's already")


@command.command()
def show() -> None:
    """Print the SQL of all tables and views, in the order in which it is applied."""
    click.echo(schema.show(), nl=False)
