"""``otel-coverage diff``."""

from __future__ import annotations

import click

from otel_coverage.cli import options
from otel_coverage.cli.audience import DEFAULT_HELP
from otel_coverage.cli.output import chosen, terminal_width
from otel_coverage.cli.stores import open_store
from otel_coverage.errors import ConfigurationError
from otel_coverage.printable import printable
from otel_coverage.reporting.changes.baseline import find_baseline
from otel_coverage.reporting.changes.comparison import compare
from otel_coverage.reporting.changes.document import document
from otel_coverage.reporting.changes.terminal import text
from otel_coverage.reporting.files import json_text
from otel_coverage.reporting.request import ReportRequest
from otel_coverage.store.formats import JSON, TABLE


@click.command()
@click.argument("base", metavar="BASE")
@click.argument("revision", metavar="[REV]", required=False)
@options.store
@options.namespace
@options.services("Compare")
@options.runs("Of REV")
@options.profiles("Compare")
@click.option("--all", "everything", is_flag=True, help="Show all rows of the tables.")
@click.option("--format", "output", type=click.Choice([JSON, TABLE]), help=DEFAULT_HELP)
def command(
    base: str,
    revision: str | None,
    dsn: str,
    namespace: str,
    services: tuple[str, ...],
    runs: tuple[str, ...],
    profiles: tuple[str, ...],
    everything: bool,
    output: str | None,
) -> None:
    """Show what profiles execute at REV and not at BASE, and the other way round.

    REV is the newest revision with coverage by default. BASE is a revision, a run or night-*, or `previous`: the
    revision that was traced before. Both may be short SHAs, tags or branches.

    A function, line or entry point counts as lost only where all coverage of the later night arrived, and as gained
    only where all of the earlier one did; else the difference is unknown. What changed in the code is known by the
    catalogs of both revisions.

    \b
    Examples:
      otel-coverage diff previous
      otel-coverage diff v1.4 HEAD
      otel-coverage diff night-40 --run night-41
      otel-coverage diff previous --format json > diff.json
    """
    request = ReportRequest(
        revision=revision,
        namespace=namespace,
        services=services,
        runs=runs,
        profiles=profiles,
    )
    with open_store(dsn, read_only=True) as store:
        queries = request.select(store)
        baseline = find_baseline(queries, base)
        if baseline is None:
            raise ConfigurationError(
                f"{base}: no revision with coverage is earlier than {printable(queries.revision) or 'the only one'}"
            )
        comparison = compare(queries, baseline)
        if chosen(output) == TABLE:
            width = terminal_width()
            shown = text(comparison, width, None) if everything else text(comparison, width)
        else:
            shown = json_text(document(comparison))
    click.echo(shown, nl=False)
