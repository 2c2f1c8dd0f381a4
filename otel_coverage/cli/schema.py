"""``otel-coverage schema``."""

from __future__ import annotations

import os
import sys

import click

from otel_coverage.cli import options
from otel_coverage.cli.group import CommandGroup
from otel_coverage.cli.interruption import interruptible
from otel_coverage.cli.stores import open_store
from otel_coverage.printable import counted
from otel_coverage.store import backfill as backfilling
from otel_coverage.store import retention, schema
from otel_coverage.store.dsn import DEFAULT_DATABASE, database_name
from otel_coverage.store.engine_versions import lacks, parse_version
from otel_coverage.store.folding.settings import FoldSettings
from otel_coverage.store.layout import Layout


@click.group(cls=CommandGroup)
def command() -> None:
    """Create or show the tables and views, or drop the one on the insert path.

    \b
    Examples:
      otel-coverage schema apply --store clickhouse://user:password@host:8123/otel
      otel-coverage schema show | less
    """


_cluster = click.option(
    "--cluster",
    metavar="NAME",
    help="Create Replicated tables on each shard of this cluster, Distributed ones over them. The store records it.",
)
_traces = click.option(
    "--traces",
    metavar="TABLE",
    help="The table that spans are inserted into. The store records it. [otel_traces; on a cluster otel_traces_local]",
)


@command.command()
@click.option(
    "--store", "dsn", required=True, envvar="OTEL_COVERAGE_STORE", help="The store; created where it does not exist."
)
@_cluster
@_traces
@click.option(
    "--keep-spans",
    type=click.IntRange(min=0),
    metavar="DAYS",
    envvar="OTEL_COVERAGE_KEEP_SPANS",
    help="Drop raw spans that are older; 0 keeps them for ever. [unchanged]",
)
@click.option(
    "--keep-coverage",
    type=click.IntRange(min=0),
    metavar="DAYS",
    envvar="OTEL_COVERAGE_KEEP_COVERAGE",
    help="The same for coverage and catalogs, which outlive the spans. [unchanged]",
)
@click.option(
    "--run-gap",
    type=click.IntRange(1, 1440),
    metavar="MINUTES",
    help="Requests without run id and window that are further apart are of different runs. The store records it. [15]",
)
@click.option(
    "--clock-skew",
    type=click.IntRange(0, 300),
    metavar="SECONDS",
    help="By how much clocks of clients and servers may differ, for windows. The store records it. [5]",
)
@click.option(
    "--backfill", is_flag=True, help="Then read the spans that were inserted before. Running it again is safe."
)
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
    run_gap: int | None,
    clock_skew: int | None,
    backfill: bool,
    batch: int,
) -> None:
    """Create the tables that the store lacks, and views that differ. May be run again at any time.

    An otel_traces that a collector created is not changed. On a cluster, --backfill reads and fills the shard of the
    node that --store names: run it once for each shard.

    \b
    Examples:
      otel-coverage schema apply --store clickhouse://user:password@host:8123/otel
      otel-coverage schema apply --cluster main --keep-spans 30 --backfill
    """
    os.umask(0o077)  # the files of an embedded store are its owner's alone
    with (
        interruptible("run the command again: it goes on with what is left, and repeats nothing"),
        open_store(dsn, create=True) as store,
    ):
        applied = schema.apply(store, cluster=cluster, traces=traces)
        for name in applied:
            click.echo(f"applied {name}")
        if not applied:
            click.echo("nothing to do: the schema is up to date")
        retention.keep(store, spans=keep_spans, coverage=keep_coverage)
        FoldSettings.write(store, gap=None if run_gap is None else 60 * run_gap, skew=clock_skew)
        if backfill:
            with click.progressbar(length=0, label="reading spans", file=sys.stderr) as bar:

                def show(done: int, total: int) -> None:
                    bar.length = total
                    bar.update(done - bar.pos)

                spans = backfilling.backfill(store, batch=batch, on_batch=show)
            click.echo(f"read {counted(spans, 'span')} of traced contexts")


@command.command()
@options.store
def detach(dsn: str) -> None:
    """Drop our view on the table that spans are inserted into: inserts no longer pay for it.

    The coverage tables keep their rows. `schema apply --backfill` creates the view again and reads the spans that it
    missed; any other `schema apply`, and `collect` when it starts, creates it without that.

    \b
    Example:
      otel-coverage schema detach --store clickhouse://user:password@host:8123/otel
    """
    with open_store(dsn) as store:
        found = schema.detach(store)
    click.echo("detached" if found else "nothing to do: there is no such view")


@command.command()
@_cluster
@_traces
@click.option(
    "--database", default=DEFAULT_DATABASE, show_default=True, help="The database of a cluster's local tables."
)
@click.option(
    "--for",
    "server",
    metavar="VERSION",
    help="The server's version, such as clickhouse-24.8: what it lacks is said on stderr.",
)
def show(cluster: str | None, traces: str | None, database: str, server: str | None) -> None:
    """Print the SQL of all tables and views, in the order in which it is applied.

    \b
    Examples:
      otel-coverage schema show | less
      otel-coverage schema show --cluster main --database otel
      otel-coverage schema show --for clickhouse-24.8 > schema.sql
    """
    for sentence in lacks(parse_version(server)) if server is not None else ():
        click.echo(f"otel-coverage: {sentence}", err=True)
    click.echo(schema.show(Layout.on(cluster or "", traces or ""), database_name(database)), nl=False)


@command.command()
def access() -> None:
    """Print the SQL of a role that may read coverage and change nothing; run it as a user who may grant roles.

    \b
    Example:
      otel-coverage schema access | clickhouse-client --database otel --multiquery
    """
    click.echo(schema.access(), nl=False)
