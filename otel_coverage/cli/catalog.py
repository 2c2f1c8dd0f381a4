"""``otel-coverage catalog``: the classes and functions of a source tree."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from otel_coverage import catalog as catalogs
from otel_coverage.catalog import Catalog
from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.files import json_text, write_text
from otel_coverage.revision import current_namespace, current_revision
from otel_coverage.settings import Settings
from otel_coverage.source import SourceFile, SourceTree

_source = click.option(
    "--source",
    multiple=True,
    metavar="PACKAGE|FOLDER",
    help="The application's packages or folders; repeatable. [OTEL_COVERAGE_SOURCE, else the working directory]",
)
_rcfile = click.option(
    "--rcfile", metavar="FILE", help="A coverage.py configuration: source, omit, exclude_lines. [OTEL_COVERAGE_RCFILE]"
)
_revision = click.option(
    "--revision",
    metavar="REV",
    help="The revision's name. [vcs.ref.head.revision in OTEL_RESOURCE_ATTRIBUTES, else from git]",
)


@click.group(name="catalog")
def command() -> None:
    """Find all functions and classes of a source tree, without running it.

    \b
    Examples:
      otel-coverage catalog build --source shop --out symbols.json
      otel-coverage catalog push --source shop --store chdb:///var/lib/coverage
    """


@command.command()
@_source
@_rcfile
@_revision
@click.option(
    "--format", "shape", type=click.Choice(["json", "table"]), help="Output format. [table on a terminal, else json]"
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of stdout.")
@click.option("--strict", is_flag=True, help="Exit with 1 if a file was skipped.")
def build(
    source: tuple[str, ...], rcfile: str | None, revision: str | None, shape: str | None, out: Path | None, strict: bool
) -> None:
    """Print the catalog of a source tree.

    \b
    Examples:
      otel-coverage catalog build --source shop
      otel-coverage catalog build --source src --out symbols.json --strict
    """
    tree = _tree(source, rcfile)
    catalog = _build(tree)
    shape = shape or ("table" if out is None and sys.stdout.isatty() else "json")
    revision = revision or _revision_of(tree)
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
@_source
@_rcfile
@_revision
@click.option(
    "--store",
    "dsn",
    envvar="OTEL_COVERAGE_STORE",
    required=True,
    metavar="DSN",
    help="The store. [OTEL_COVERAGE_STORE]",
)
@click.option(
    "--namespace", metavar="NAME", help="service.namespace of the services. [from OTEL_RESOURCE_ATTRIBUTES, else empty]"
)
@click.option("--strict", is_flag=True, help="If a file was skipped, push nothing and exit with 1.")
def push(
    source: tuple[str, ...],
    rcfile: str | None,
    revision: str | None,
    dsn: str,
    namespace: str | None,
    strict: bool,
) -> None:
    """Store the catalog of a source tree, replacing the one that the store has for this revision.

    Where the traced application runs without git (in an image), set the same
    OTEL_RESOURCE_ATTRIBUTES=vcs.ref.head.revision=REV for it and for this command.

    While `collect` holds an embedded store, the catalog goes through it, over its ClickHouse endpoint.

    \b
    Example:
      otel-coverage catalog push --source shop --store chdb:///var/lib/coverage
    """
    from otel_coverage.store import open_store

    tree = _tree(source, rcfile)
    revision = revision or _revision_of(tree)
    if revision is None:
        raise ConfigurationError("the source is not in a git work tree; name its revision with --revision")
    catalog = _build(tree)
    _print_errors(catalog)
    if strict and catalog.errors:
        click.echo("nothing was pushed", err=True)
        sys.exit(1)
    with open_store(dsn, via_collector=True) as store:
        count = catalogs.push(store, catalog, revision, current_namespace() if namespace is None else namespace)
    click.echo(f"pushed {count} symbols of revision {revision}")


def _tree(source: tuple[str, ...], rcfile: str | None) -> SourceTree:
    settings = Settings.load(source=source, rcfile=rcfile)
    return SourceTree.from_rcfile(settings.source, settings.rcfile)


def _revision_of(tree: SourceTree) -> str | None:
    return current_revision([root.folder for root in tree.roots])


def _build(tree: SourceTree) -> Catalog:
    if not sys.stderr.isatty():
        return catalogs.build(tree)
    with click.progressbar(length=sum(1 for _ in tree.files()), label="reading", file=sys.stderr) as bar:

        def advance(file: SourceFile) -> None:
            bar.update(1)

        return catalogs.build(tree, on_file=advance)


def _print_errors(catalog: Catalog) -> None:
    for error in catalog.errors:
        click.echo(f"{error} (skipped)", err=True)


def _table(catalog: Catalog) -> str:
    width = max((len(entry.id) for entry in catalog.symbols), default=0)
    rows = "".join(
        f"{entry.kind:8}  {entry.id:{width}}  {entry.file}:{entry.symbol.line}-{entry.end_line}"
        f"{'  excluded' if entry.excluded else ''}\n"
        for entry in catalog.symbols
    )
    functions = sum(entry.kind == "function" for entry in catalog.symbols)
    classes = len(catalog.symbols) - functions
    return f"{rows}functions: {functions}, classes: {classes}, files: {len(catalog.files)}\n"
