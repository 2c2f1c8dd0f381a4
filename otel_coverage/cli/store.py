"""``otel-coverage store``."""

from __future__ import annotations

import shutil
import sys

import click

from otel_coverage.errors import ConfigurationError
from otel_coverage.store import open_store, retention
from otel_coverage.store.formats import FORMATS, as_table
from otel_coverage.store.named_queries import named_query

_store = click.option("--store", "dsn", required=True, envvar="OTEL_COVERAGE_STORE", help="The store.")


@click.group()
def command() -> None:
    """Show what a store holds, and delete old revisions from it.

    \b
    Examples:
      otel-coverage store stats --store chdb:///var/lib/coverage
      otel-coverage store prune --older-than 90 --dry-run
    """


@command.command()
@_store
@click.option(
    "--format", "output", type=click.Choice(sorted(FORMATS)), help="By default a table on a terminal, else JSON."
)
def stats(dsn: str, output: str | None) -> None:
    """Show the tables' rows and sizes, of the server or shard that --store names.

    \b
    Example:
      otel-coverage store stats --store chdb:///var/lib/coverage
    """
    with open_store(dsn, read_only=True) as store:
        result = store.query(named_query("tables").sql)
    if output is None and sys.stdout.isatty():
        click.echo(as_table(result, shutil.get_terminal_size().columns), nl=False)
    else:
        click.echo(FORMATS[output or "json"](result), nl=False)


@command.command()
@_store
@click.option("--revision", "names", multiple=True, metavar="REV", help="Delete this one; may be repeated.")
@click.option(
    "--older-than", type=click.IntRange(min=0), metavar="DAYS", help="Delete those whose last span is older than that."
)
@click.option("--namespace", metavar="NAME", help="Only in this service.namespace. [all]")
@click.option("--dry-run", is_flag=True, help="Only print what would be deleted.")
def prune(dsn: str, names: tuple[str, ...], older_than: int | None, namespace: str | None, dry_run: bool) -> None:
    """Delete the coverage and the catalogs of revisions, by name or by age.

    Raw spans stay as long as `schema apply --keep-spans` says; until they are dropped, a backfill derives from them
    what is deleted here.

    \b
    Examples:
      otel-coverage store prune --store chdb:///var/lib/coverage --older-than 90 --dry-run
      otel-coverage store prune --store chdb:///var/lib/coverage --revision 4be1f0c
    """
    if not names and older_than is None:
        raise ConfigurationError("no revision given: use --revision or --older-than")
    with open_store(dsn) as store:
        known = [each for each in retention.revisions(store) if namespace is None or each.namespace == namespace]
        for name in names:
            if name not in {each.name for each in known}:
                raise ConfigurationError(
                    f"{store.dsn}: no revision {name!r}; `otel-coverage query revisions` lists them"
                )
        chosen = [each for each in known if each.name in names or (older_than is not None and each.days > older_than)]
        if not dry_run:
            retention.prune(store, chosen)
    for each in chosen:
        where = f" in namespace {each.namespace}" if each.namespace else ""
        click.echo(f"{'would delete' if dry_run else 'deleted'} {each.name}{where}, {each.days} days old")
    if not chosen:
        click.echo("nothing to do: no revision is that old")
