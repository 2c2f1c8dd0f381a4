"""``otel-coverage redundancy``."""

from __future__ import annotations

from dataclasses import astuple, fields

import click

from otel_coverage.cli import options
from otel_coverage.cli.audience import DEFAULT_HELP
from otel_coverage.cli.output import show
from otel_coverage.cli.stores import open_store
from otel_coverage.printable import printable
from otel_coverage.reporting.banner import banner
from otel_coverage.reporting.smallest_set import Step, find
from otel_coverage.store import Result
from otel_coverage.store.formats import FORMATS, TABLE
from otel_coverage.store.known_names import checked
from otel_coverage.store.named_queries import newest_revision


@click.command()
@options.store
@click.option(
    "--keep",
    type=click.FloatRange(0, 100),
    default=100.0,
    show_default=True,
    help="How much of what all profiles execute the set has to execute, in percent.",
)
@click.option("--revision", default="", metavar="REV", help="[the newest that was traced]")
@click.option("--namespace", default="", metavar="NAME", help="service.namespace [empty]")
@click.option("--format", "output", type=click.Choice(sorted([*FORMATS, TABLE])), help=DEFAULT_HELP)
def command(dsn: str, keep: float, revision: str, namespace: str, output: str | None) -> None:
    """Find a small set of profiles that executes what all of them execute.

    Profiles that are not in it add nothing to it. `query redundancy` says what each profile alone reaches.
    Where coverage of a profile is missing, it is said on stderr: it may execute more than is known.

    \b
    Examples:
      otel-coverage redundancy --store chdb:///var/lib/coverage
      otel-coverage redundancy --keep 95 --format csv
    """
    with open_store(dsn, read_only=True) as store:
        steps = find(store, namespace=namespace, revision=revision, keep=keep)
        chosen = checked(store, {"namespace": namespace, "revision": revision or newest_revision(store, namespace)})
        for sentence in banner(store, chosen):
            click.echo(f"otel-coverage: {printable(sentence)}", err=True)
    result = Result(tuple(field.name for field in fields(Step)), [astuple(step) for step in steps])
    show(result, output)
