"""``otel-coverage store``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from otel_coverage.cli import options, progress
from otel_coverage.cli.audience import DEFAULT_HELP
from otel_coverage.cli.group import CommandGroup
from otel_coverage.cli.interruption import interruptible
from otel_coverage.cli.output import show
from otel_coverage.cli.stores import open_store
from otel_coverage.errors import ConfigurationError
from otel_coverage.printable import counted, printable
from otel_coverage.reporting.contents import parse_size
from otel_coverage.store import archive, folding, forgetting, retention, schema
from otel_coverage.store.formats import FORMATS, TABLE
from otel_coverage.store.known_names import known_revision
from otel_coverage.store.named_queries import named_query
from otel_coverage.store.store import Result
from otel_coverage.store.table import as_table


@click.group(cls=CommandGroup)
def command() -> None:
    """Show what a store holds, export and import it, put requests into runs, take out runs and old revisions.

    \b
    Examples:
      otel-coverage store fold --store clickhouse://user:password@host:8123/otel
      otel-coverage store stats --store chdb:///var/lib/coverage
      otel-coverage store prune --older-than 90 --dry-run
      otel-coverage store forget --run night-7 --store chdb:///var/lib/coverage
    """


@command.command()
@options.store
@click.option("--format", "output", type=click.Choice(sorted([*FORMATS, TABLE])), help=DEFAULT_HELP)
def stats(dsn: str, output: str | None) -> None:
    """Show the tables' rows and sizes, of the server or shard that --store names.

    \b
    Example:
      otel-coverage store stats --store chdb:///var/lib/coverage
    """
    with open_store(dsn, read_only=True) as store:
        result = store.query(named_query("tables").sql)
    show(result, output)


@command.command()
@options.store
def fold(dsn: str) -> None:
    """Put requests that carry no run id, and their jobs, into runs: by windows, or by a gap in time.

    `collect`, `report`, `query` and `verify` do that by themselves. Run it in a cron where another collector fills a
    ClickHouse server and dashboards read it, or where readers may not insert. It may be interrupted and repeated.

    \b
    Example:
      otel-coverage store fold --store clickhouse://user:password@host:8123/otel
    """
    with interruptible("run the command again: it goes on with what is left"), open_store(dsn) as store:
        done = folding.fold(store)
    click.echo(f"put {done.traces} traces into {len(done.runs)} runs" if done.traces else "nothing to do")
    for run in done.runs:
        click.echo(f"  {printable(run)}")


@command.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@options.store
def export(file: Path, dsn: str) -> None:
    """Write what a store holds to one FILE, for `store import`: runs, coverage, catalogs and URL maps, not raw spans.

    So that a CI job can upload it, and a later one put the files of all jobs together. Through `collect`, where that
    holds the store. FILE is replaced when all is written.

    \b
    Examples:
      otel-coverage store export checkout.store --store chdb://$PWD/store
      otel-coverage store export night.store --store clickhouse://user:password@host:8123/otel
    """
    with (
        interruptible(f"{file} is as it was"),
        open_store(dsn, read_only=True) as store,
        progress.bar(archive.tables(), "exporting") as advance,
    ):
        manifest = archive.export(store, file, advance)
    click.echo(f"{file}: {_held(manifest)}, {file.stat().st_size / 1e6:.1f} MB")


@command.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--max-size", default="20G", metavar="SIZE", help="What each may hold unpacked. [20G]")
@options.store
def import_(files: tuple[Path, ...], max_size: str, dsn: str) -> None:
    """Insert what FILES hold, which `store export` wrote, into a store; it is made where there is none.

    The order does not matter, nor whether a file is imported twice. All files are read and checked before anything is
    inserted. `collect` lets nobody import into the store that it holds.

    \b
    Example:
      otel-coverage store import */*.store --store chdb://$PWD/night
    """
    most = parse_size(max_size)
    manifests = [archive.check(file, most) for file in files]
    with (
        interruptible("run the command again: what is there already does no harm"),
        open_store(dsn, create=True) as store,
    ):
        schema.apply(store)
        with progress.bar(range(len(archive.steps()) * len(files)), "importing") as advance:
            for file in files:
                archive.insert(store, file, advance)
    for file, manifest in zip(files, manifests, strict=True):
        click.echo(f"{printable(str(file))}: {_held(manifest)}")


def _held(manifest: archive.Manifest) -> str:
    """What an archive holds, for people."""
    held = {"profile": manifest.profiles, "run": manifest.runs, "revision": manifest.revisions}
    return ", ".join(counted(len(names), noun) for noun, names in held.items())


@command.command()
@options.store
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
        meant = {known_revision(name, {each.name for each in known}, str(store.dsn)) for name in names}
        chosen = [each for each in known if each.name in meant or (older_than is not None and each.days > older_than)]
        if not dry_run:
            with interruptible("some revisions may be deleted in part; run the command again to delete the rest"):
                retention.prune(store, chosen)
    for each in chosen:
        where = f" in namespace {each.namespace}" if each.namespace else ""
        name = printable(f"{each.name}{where}")
        click.echo(f"{'would delete' if dry_run else 'deleted'} {name}, {each.days} days old")
    if not chosen:
        click.echo("nothing to do: no revision is that old")


@command.command()
@options.store
@click.option("--run", "runs", multiple=True, required=True, metavar="ID", help="The run; may be repeated.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--format", "output", type=click.Choice(sorted([*FORMATS, TABLE])), help=DEFAULT_HELP)
def forget(dsn: str, runs: tuple[str, ...], yes: bool, output: str | None) -> None:
    """Take a run out of the store: one that was played by mistake, or against another application.

    Its coverage is deleted, with its outcome and all that is known of it; what that was is printed. No report counts it
    any more. Where `collect` holds the store, it goes through that. Do it when the run has ended.

    Raw spans stay as long as `schema apply --keep-spans` says. What is derived from them once more, imported or
    delivered late does not count: `query runs` shows it as incomplete, `forgotten`, until it is forgotten once more. A
    run that begins later may have the same id.

    \b
    Examples:
      otel-coverage store forget --run night-7 --store chdb:///var/lib/coverage
      otel-coverage store forget --run night-7 --run night-7.2 --yes --store "$STORE"
    """
    with open_store(dsn, via_collector=True) as store:
        found = [forgetting.profiles_of(store, run) for run in dict.fromkeys(runs)]
        rows = [(run, *row) for run, each in zip(dict.fromkeys(runs), found, strict=True) for row in each.rows]
        result = Result(("run", *found[0].columns), rows)
        if not yes:
            _confirm(result, str(store.dsn))
        with (
            interruptible("nothing of the run counts; run the command again to delete the rest"),
            progress.bar(range(len(forgetting.TABLES) * len(found)), "deleting") as advance,
        ):
            for run in dict.fromkeys(runs):
                forgetting.forget(store, run, advance)
    show(result, output)


def _confirm(result: Result, where: str) -> None:
    """Ask whether to delete that.

    Raises:
        ConfigurationError: nobody is there to answer.
        click.Abort: no.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError("nobody is there to be asked; --yes deletes without a question")
    click.echo(as_table(result), err=True, nl=False)
    click.confirm(f"Delete all that {where} holds of this?", abort=True, err=True)
