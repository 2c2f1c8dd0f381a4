"""``otel-coverage query``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click
from click.shell_completion import CompletionItem

from otel_coverage.cli.audience import DEFAULT_HELP
from otel_coverage.cli.output import show
from otel_coverage.cli.stores import open_store
from otel_coverage.errors import ConfigurationError, StoreError
from otel_coverage.printable import listed, printable
from otel_coverage.reporting.banner import banner
from otel_coverage.store import Result, Store
from otel_coverage.store.formats import FORMATS, PARQUET, TABLE
from otel_coverage.store.known_names import checked
from otel_coverage.store.named_queries import NamedQuery, Value, named_queries, named_query
from otel_coverage.suggestions import suggestion

_UNKNOWN_TABLE = re.compile(r"Unknown table(?: expression)? identifier '(?:\w+\.)?(\w+)'")
_TABLES = "SELECT name FROM system.tables WHERE database = currentDatabase() AND name NOT LIKE '%\\_mv' ORDER BY name"


def _completed(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(query.name, help=query.summary) for query in named_queries() if query.name.startswith(incomplete)
    ]


@click.command()
@click.argument("name", required=False, shell_complete=_completed)
@click.option("--store", "dsn", envvar="OTEL_COVERAGE_STORE", metavar="DSN", help="[OTEL_COVERAGE_STORE]")
@click.option("--sql", help="A statement to run instead of a named query.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter's value; may be repeated.")
@click.option(
    "--format",
    "output",
    type=click.Choice(sorted([*FORMATS, PARQUET, TABLE])),
    help=DEFAULT_HELP,
)
@click.option("--columns", "names", metavar="A,B", help="Only these columns.")
@click.option("--wide", is_flag=True, help="Show all columns of a table, as wide as they are.")
@click.option("--list", "listed", is_flag=True, help="List the named queries with their parameters.")
def command(
    name: str | None,
    dsn: str | None,
    sql: str | None,
    params: tuple[str, ...],
    output: str | None,
    names: str | None,
    wide: bool,
    listed: bool,
) -> None:
    """Query the store, by a query's NAME or in SQL. The connection is read-only.

    A table shows some of a named query's columns, and each row as a block of lines where the terminal is too narrow.
    Other formats have all columns.

    \b
    Examples:
      otel-coverage query --list
      otel-coverage query gaps --store chdb:///var/lib/coverage --param module=shop.orders
      otel-coverage query gaps --columns symbol,executable_lines --format csv
      otel-coverage query --sql 'SELECT count() FROM coverage_matrix' --format csv
    """
    if listed:
        click.echo(_listing(), nl=False)
        return
    if (name is None) == (sql is None):
        raise ConfigurationError("give either a query's name (--list lists them) or --sql")
    if dsn is None:
        raise ConfigurationError("no store given: use --store or set OTEL_COVERAGE_STORE")
    if output == PARQUET and sys.stdout.isatty():
        raise ConfigurationError("parquet is binary: redirect it to a file")
    query = named_query(name) if name is not None else None
    given = _split(params)
    with open_store(dsn, read_only=True) as store:
        if query is None:
            statement, values = str(sql).strip().rstrip(";"), dict[str, Value](given)
        else:
            statement, values = query.resolve(store, checked(store, query.bind(given)))
            _warn(store, values)
        with _near_names(store):
            if output == PARQUET:
                click.echo(store.export(statement, values, "Parquet"), nl=False)
                return
            result = store.query(statement, values)
        if not result.rows:
            if query is not None:
                _explain_no_rows(store, query, values)
            result = Result(store.columns(statement, values), [])  # a file without rows has its header, too
    if names is not None:
        show(_only(result, names.split(",")), output)
    elif wide or query is None:
        show(result, output, fold=not wide)
    else:
        show(result, output, columns=query.columns, groups=query.groups)


@contextmanager
def _near_names(store: Store) -> Iterator[None]:
    """Add to an error about an unknown table the names of tables and views that are like it."""
    try:
        yield
    except StoreError as error:
        found = _UNKNOWN_TABLE.search(str(error))
        known = [name for (name,) in store.query(_TABLES).rows] if found is not None else []
        if found is None or not known:
            raise
        raise StoreError(f"{store.dsn}: no table or view {found[1]!r}; {suggestion(found[1], known)}") from error


def _only(result: Result, names: list[str]) -> Result:
    """The result with some of its columns."""
    for name in names:
        if name not in result.columns:
            raise ConfigurationError(f"--columns {name!r}: no such column; {suggestion(name, result.columns)}")
    places = [result.columns.index(name) for name in names]
    return Result(tuple(names), [tuple(row[place] for place in places) for row in result.rows])


def _warn(store: Store, values: Mapping[str, Value]) -> None:
    """Say on stderr what is missing of the revision that the answer is about, or was played since and never arrived."""
    for sentence in banner(store, values) if "revision" in values else ():
        click.echo(f"otel-coverage: {printable(sentence)}", err=True)


def _explain_no_rows(store: Store, query: NamedQuery, values: Mapping[str, Value]) -> None:
    """Say on stderr why there are no rows about runs or profiles that were played."""
    named = [*values.get("runs", ()), *values.get("profiles", ())]
    if named and values.get("revision"):
        at = f"revision {values['revision']}"
        click.echo(
            f"otel-coverage: no rows: {query.name} has none about {printable(listed(named))} at {printable(at)}; "
            "--param revision=REV asks about another one",
            err=True,
        )
    elif "revision" in values and not values["revision"]:
        of = f"of {listed(named)}" if named else "in this namespace"
        click.echo(
            f"otel-coverage: no rows: nothing that an application recorded {printable(of)} has arrived; "
            "`otel-coverage verify --run ID` says more",
            err=True,
        )


def _split(params: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for param in params:
        name, equals, value = param.partition("=")
        if not (name and equals):
            raise ConfigurationError(f"--param {param!r}: write NAME=VALUE")
        values[name] = value
    return values


def _listing() -> str:
    lines: list[str] = []
    for query in named_queries():
        lines.append(f"{query.name}: {query.summary}")
        for parameter in query.parameters:
            needed = "" if parameter.default is not None else " (required)"
            lines.append(f"  --param {parameter.name}=…{needed}  {parameter.meaning}")
    return "\n".join(lines) + "\n"
