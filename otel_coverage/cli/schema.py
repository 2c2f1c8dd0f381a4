"""``otel-coverage schema``."""

from __future__ import annotations

import os
import sys

import click

from otel_coverage.store import backfill as backfilling
from otel_coverage.store import open_store, retention, schema
from otel_coverage.store.dsn import DEFAULT_DATABASE, database_name
from otel_coverage.store.layout import Layout
from otel_coverage.store.sql import sql_files


@click.group()
def command() -> None:
    """Create, show or switch off the tables and views.

    \b
    Examples:
      otel-coverage schema apply --store clickhouse://user:password@host:8123/otel
      otel-coverage schema show | less
    """


_cluster = click.option(
    "--cluster",
    metavar="NAME",
    help="Replicated tables on each shard of this cluster, with Distributed ones over them. Remembered by the store.",
)
_traces = click.option(
    "--traces",
    metavar="TABLE",
    help="The table that spans land in. Remembered by the store. [otel_traces; on a cluster otel_traces_local]",
)


@command.command()
@click.option(
    "--store", "dsn", required=True, envvar="OTEL_COVERAGE_STORE", help="The store; made where there is none."
)
@_cluster
@_traces
@click.option(
    "--keep-spans",
    type=click.IntRange(min=0),
    metavar="DAYS",
    envvar="OTEL_COVERAGE_KEEP_SPANS",
    help="Have the engine drop raw spans that are older; 0 keeps them. [left as it is]",
)
@click.option(
    "--keep-coverage",
    type=click.IntRange(min=0),
    metavar="DAYS",
    envvar="OTEL_COVERAGE_KEEP_COVERAGE",
    help="The same for coverage and catalogs, which outlive the spans. [left as it is]",
)
@click.option("--backfill", is_flag=True, help="Then read the spans that were stored before. Running it again is safe.")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=backfilling.BATCH,
    show_default=True,
    help="About how many spans a backfill reads at a time.",
)
def apply(
    dsn: str,
    cluster: str | None,
    traces: str | None,
    keep_spans: int | None,
    keep_coverage: int | None,
    backfill: bool,
    batch: int,
) -> None:
    """Create what the store lacks, replace views that changed. May be run as often as one likes.

    An otel_traces that a collector made is left as it is. On a cluster, --backfill reads and fills the shard of the
    node that --store names: run it once for each shard.
    """
    os.umask(0o077)  # the files of an embedded store are its owner's alone
    with open_store(dsn, create=True) as store:
        applied = schema.apply(store, cluster=cluster, traces=traces)
        for name in applied:
            click.echo(f"applied {name}")
        if not applied:
            click.echo("nothing to do: the schema is this version's already")
        retention.keep(store, spans=keep_spans, coverage=keep_coverage)
        if backfill:
            with click.progressbar(length=0, label="reading spans", file=sys.stderr) as bar:

                def show(done: int, total: int) -> None:
                    bar.length = total
                    bar.update(done - bar.pos)

                spans = backfilling.backfill(store, batch=batch, on_batch=show)
            click.echo(f"read {spans} spans of traced contexts")


@command.command()
@click.option("--store", "dsn", required=True, envvar="OTEL_COVERAGE_STORE", help="The store.")
def detach(dsn: str) -> None:
    """Take our view off the table that spans land in: inserts then cost what they cost without us.

    What the coverage tables hold stays. `schema apply --backfill` puts the view back and catches up; so does every
    other `schema apply`, and `collect` when it starts, without catching up.
    """
    with open_store(dsn) as store:
        found = schema.detach(store)
    click.echo("detached" if found else "nothing to do: no view of ours stands there")


@command.command()
@_cluster
@_traces
@click.option("--database", default=DEFAULT_DATABASE, show_default=True, help="Where a cluster's local tables stand.")
def show(cluster: str | None, traces: str | None, database: str) -> None:
    """Print the SQL of all tables and views, in the order in which it is applied."""
    click.echo(schema.show(Layout.on(cluster or "", traces or ""), database_name(database)), nl=False)


@command.command()
def access() -> None:
    """Print the SQL of a role that may read coverage and change nothing, for someone who may grant it to run."""
    for file in sql_files("access"):
        click.echo(file.text, nl=False)
