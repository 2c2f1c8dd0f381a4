"""``otel-coverage catalog``: the classes and functions of a source tree."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from otel_coverage import catalog as catalogs
from otel_coverage.catalog import Catalog, code_symbols
from otel_coverage.catalog.check import Check
from otel_coverage.catalog.drift import Executed
from otel_coverage.catalog.inventory import read_inventory, schema_text
from otel_coverage.cli import options, progress
from otel_coverage.cli.audience import DEFAULT_HELP, read_by_people
from otel_coverage.cli.checks import CHECK_FORMATS, show_checks
from otel_coverage.cli.group import CommandGroup
from otel_coverage.cli.interruption import interruptible
from otel_coverage.cli.output import chosen, show
from otel_coverage.errors import ConfigurationError
from otel_coverage.gates.catalogs import check_of, sentence
from otel_coverage.printable import counted, printable
from otel_coverage.reporting.files import json_text, write_text
from otel_coverage.revision import UNKNOWN, current_revision
from otel_coverage.settings import Settings
from otel_coverage.source import SourceTree
from otel_coverage.store.formats import TABLE
from otel_coverage.store.store import Result

_revision = click.option(
    "--revision",
    metavar="REV",
    help="The revision's name. [vcs.ref.head.revision in OTEL_RESOURCE_ATTRIBUTES, else from git, else unknown]",
)
_no_cache = click.option(
    "--no-cache", is_flag=True, help="Analyze every file again, rather than those that are new to this user's cache."
)


@click.group(cls=CommandGroup, name="catalog")
def command() -> None:
    """Find all functions and classes of a source tree, without running it.

    \b
    Examples:
      otel-coverage catalog build --source shop --out symbols.json
      otel-coverage catalog push --source shop --store chdb:///var/lib/coverage
      otel-coverage catalog check --source shop --inventory inventory.json
    """


@command.command()
@options.source
@options.rcfile
@_revision
@click.option(
    "--inventory", is_flag=True, help="Leave the revision out, so that the file can be committed and checked later."
)
@click.option("--format", "shape", type=click.Choice(["json", "table"]), help=DEFAULT_HELP)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of stdout.")
@click.option("--strict", is_flag=True, help="Exit with 1 if a file was skipped.")
@_no_cache
def build(
    source: tuple[str, ...],
    rcfile: str | None,
    revision: str | None,
    inventory: bool,
    shape: str | None,
    out: Path | None,
    strict: bool,
    no_cache: bool,
) -> None:
    """Print the catalog of a source tree. `otel-coverage catalog schema` describes its format.

    \b
    Examples:
      otel-coverage catalog build --source shop
      otel-coverage catalog build --source shop --inventory --out inventory.json
      otel-coverage catalog build --source src --out symbols.json --strict
    """
    if inventory and revision is not None:
        raise ConfigurationError("--inventory leaves the revision out, --revision names one: give one of them")
    tree = _tree(source, rcfile)
    catalog = _build(tree, cached=not no_cache)
    shape = shape or ("table" if out is None and read_by_people() else "json")
    revision = None if inventory else revision or _revision_of(tree)
    text = json_text(catalog.document(revision)) if shape == "json" else _table(catalog)
    if out is None:
        click.echo(text, nl=False)
    else:
        try:
            write_text(out, text)
        except OSError as error:
            raise ConfigurationError(f"cannot write {out}: {error.strerror}") from error
    _print_errors(catalog)
    if strict and catalog.errors:
        sys.exit(1)


@command.command()
@options.source
@options.rcfile
@_revision
@options.store
@options.namespace
@click.option("--strict", is_flag=True, help="If a file was skipped, push nothing and exit with 1.")
@_no_cache
def push(
    source: tuple[str, ...],
    rcfile: str | None,
    revision: str | None,
    dsn: str,
    namespace: str,
    strict: bool,
    no_cache: bool,
) -> None:
    """Store the catalog of a source tree, replacing the one that the store has for this revision.

    Where the traced application runs without git (in an image), set the same
    OTEL_RESOURCE_ATTRIBUTES=vcs.ref.head.revision=REV for it and for this command.

    While `collect` holds an embedded store, the catalog goes through it, over its ClickHouse endpoint.

    \b
    Example:
      otel-coverage catalog push --source shop --store chdb:///var/lib/coverage
    """
    from otel_coverage.cli.stores import open_store
    from otel_coverage.store.schema import layout_of

    tree = _tree(source, rcfile)
    revision = revision or _revision_of(tree)
    if revision == UNKNOWN:
        click.echo(
            f"the source is in no git work tree: its revision is {UNKNOWN!r}; --revision names another", err=True
        )
    with open_store(dsn, via_collector=True) as store:
        layout_of(store)  # what is wrong with the store is to be found out before the sources are read
    catalog = _build(tree, cached=not no_cache)
    _print_errors(catalog)
    if strict and catalog.errors:
        click.echo("nothing was pushed", err=True)
        sys.exit(1)
    with (
        interruptible("the push may be complete or not; run the command again, it replaces the whole catalog"),
        open_store(dsn, via_collector=True) as store,
    ):
        count = catalogs.push(store, catalog, revision, namespace)
    click.echo(f"pushed {counted(count, 'symbol')} of revision {revision}")


@command.command()
@options.source
@options.rcfile
@click.option(
    "--inventory",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A catalog in a file, as `catalog build` writes it; instead of the store's.",
)
@click.option(
    "--store",
    "dsn",
    metavar="DSN",
    help="A store: its catalog, and what was executed. [without --inventory OTEL_COVERAGE_STORE]",
)
@_revision
@options.namespace
@click.option(
    "--names", is_flag=True, help="Compare names alone: where definitions stand, and their lines, may differ."
)
@click.option("--format", "output", type=click.Choice(CHECK_FORMATS), help=DEFAULT_HELP)
@_no_cache
def check(
    source: tuple[str, ...],
    rcfile: str | None,
    inventory: Path | None,
    dsn: str | None,
    revision: str | None,
    namespace: str,
    names: bool,
    output: str | None,
    no_cache: bool,
) -> None:
    """Check that a catalog fits the source tree, and that it has every function that was executed.

    The catalog is that of --inventory, else the one that the store has for the revision. What has changed since, and
    what was executed at that revision and is not in the catalog, is printed with an explanation; then the exit code is
    1.

    \b
    Examples:
      otel-coverage catalog check --source shop --inventory inventory.json
      otel-coverage catalog check --source shop --inventory inventory.json --names
      otel-coverage catalog check --source shop --store chdb:///var/lib/coverage
      otel-coverage catalog check --store "$STORE" --format json | jq '.unknown[].id'
    """
    if inventory is None:
        dsn = dsn or os.environ.get("OTEL_COVERAGE_STORE")
    if inventory is None and not dsn:
        raise ConfigurationError("nothing to check the source with: name a file by --inventory, or a store by --store")
    tree = _tree(source, rcfile)
    executed: list[Executed] | None = None
    if inventory is not None:
        name, catalog = str(inventory), read_inventory(inventory)
    if dsn:
        from otel_coverage.cli.stores import open_store

        with interruptible("nothing was changed"), open_store(dsn, read_only=True) as store:
            revision = code_symbols.revision_in(store, revision or _revision_of(tree), namespace)
            executed = code_symbols.executed(store, revision, namespace)
            if inventory is None:
                name, catalog = str(store.dsn), code_symbols.stored(store, revision, namespace)
        if not executed:
            click.echo(printable(f"otel-coverage: no profile was recorded at revision {revision}"), err=True)
    built = _build(tree, cached=not no_cache)
    checked = Check.of(name, catalog, built, revision=revision if dsn else None, executed=executed, lines=not names)
    if chosen(output) == TABLE:
        _print_errors(built)
        _print_check(checked)
    else:
        show_checks([check_of(checked, tree)], output, checked.document())
    if not checked.fits:
        sys.exit(1)


@command.command()
@click.argument("name", type=click.Choice(["catalog", "check"]), default="catalog")
def schema(name: str) -> None:
    """Print the JSON Schema of what `catalog build` writes, or of what `catalog check` prints.

    \b
    Examples:
      otel-coverage catalog schema > catalog.schema.json
      otel-coverage catalog schema check > check.schema.json
    """
    click.echo(schema_text(name), nl=False)


def _tree(source: tuple[str, ...], rcfile: str | None) -> SourceTree:
    settings = Settings.load(source=source, rcfile=rcfile)
    return SourceTree.of(settings)


def _revision_of(tree: SourceTree) -> str:
    return current_revision([root.folder for root in tree.roots])


def _build(tree: SourceTree, *, cached: bool) -> Catalog:
    with progress.bar(tree.files(), "reading") as advance:
        return catalogs.build(tree, on_file=advance, in_parallel=True, cached=cached)


def _print_errors(catalog: Catalog) -> None:
    for error in catalog.errors:
        click.echo(printable(f"{error} (skipped)"), err=True)


def _print_check(checked: Check) -> None:
    if checked.drift:
        rows = [(each.change, each.name, f"{each.file}:{each.line}", each.detail) for each in checked.drift]
        show(Result(("change", "name", "where", "detail"), rows), TABLE)
    if checked.unknown:
        unknown = [
            (each.executed.symbol.id, " ".join(each.executed.profiles), each.reason, each.detail)
            for each in checked.unknown
        ]
        show(Result(("executed, not in the catalog", "profiles", "reason", "explanation"), unknown), TABLE)
    click.echo(printable(sentence(checked)), err=not checked.fits)


def _table(catalog: Catalog) -> str:
    width = max((len(entry.id) for entry in catalog.symbols), default=0)
    rows = "".join(
        f"{entry.kind:8}  {entry.id:{width}}  {printable(entry.file)}:{entry.symbol.line}-{entry.end_line}"
        f"{'  excluded' if entry.excluded else ''}\n"
        for entry in catalog.symbols
    )
    functions = sum(entry.kind == "function" for entry in catalog.symbols)
    classes = len(catalog.symbols) - functions
    return f"{rows}functions: {functions}, classes: {classes}, files: {len(catalog.files)}\n"
