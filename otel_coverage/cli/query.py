"""``otel-coverage query``."""

from __future__ import annotations

import shutil
import sys

import click

from otel_coverage.errors import ConfigurationError
from otel_coverage.store import open_store
from otel_coverage.store.formats import FORMATS, PARQUET, as_table
from otel_coverage.store.named_queries import named_queries, named_query


@click.command()
@click.argument("name", required=False)
@click.option("--store", "dsn", envvar="OTEL_COVERAGE_STORE", help="The store.")
@click.option("--sql", help="A statement to run instead of a named query.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter's value; may be repeated.")
@click.option(
    "--format",
    "output",
    type=click.Choice(sorted([*FORMATS, PARQUET])),
    help="By default a table on a terminal, else JSON.",
)
@click.option("--list", "listed", is_flag=True, help="List the named queries with their parameters.")
def command(
    name: str | None, dsn: str | None, sql: str | None, params: tuple[str, ...], output: str | None, listed: bool
) -> None:
    """Query the store, by a query's NAME or in SQL. The connection is read-only.

    \b
    Examples:
      otel-coverage query --list
      otel-coverage query gaps --store chdb:///var/lib/coverage --param module=shop.orders
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
        statement, values = (str(sql).strip().rstrip(";"), given) if query is None else query.resolve(store, given)
        if output == PARQUET:
            click.echo(store.export(statement, values, "Parquet"), nl=False)
            return
        result = store.query(statement, values)
    if output is None and sys.stdout.isatty():
        click.echo(as_table(result, shutil.get_terminal_size().columns), nl=False)
    else:
        click.echo(FORMATS[output or "json"](result), nl=False)


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
