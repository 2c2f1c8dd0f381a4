"""``otel-coverage verify``."""

from __future__ import annotations

import sys

import click

from otel_coverage.cli import options
from otel_coverage.cli.audience import DEFAULT_HELP
from otel_coverage.cli.checks import CHECK_FORMATS, show_checks
from otel_coverage.cli.interruption import interruptible
from otel_coverage.cli.output import chosen, show
from otel_coverage.cli.stores import open_store
from otel_coverage.gates.completeness import arrived, check_of
from otel_coverage.printable import counted, printable
from otel_coverage.reporting.verification import Verification, document, verify
from otel_coverage.store import Result
from otel_coverage.store.formats import TABLE

_COLUMNS = ("profile", "what", "name", "reason", "why", "last seen in", "process", "at", "trace")


@click.command()
@click.option("--run", "run", required=True, metavar="ID", help="The run id, as `playback run` prints it.")
@options.store
@click.option(
    "--wait", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="Wait for what has not arrived yet. [0]"
)
@click.option("--format", "output", type=click.Choice(CHECK_FORMATS), help=DEFAULT_HELP)
def command(run: str, dsn: str, wait: float, output: str | None) -> None:
    """Check that all of a run has arrived; else exit with 1 and say what is missing, why, and where it was last seen.

    Its traces say what there should be: an answer to each request of the playback client, a job for each that was
    queued, and as many of each as the processes counted. The coverage tables are compared with the spans that they were
    filled from, as far as these are kept, which takes about as long as their insert did.

    \b
    Examples:
      otel-coverage verify --run night-41 --store chdb:///var/lib/coverage
      otel-coverage verify --run "$RUN" --wait 30
      otel-coverage verify --run night-41 --format json | jq '.missing[].reason'
      otel-coverage verify --run night-41 --format markdown >> "$GITHUB_STEP_SUMMARY"
    """
    with interruptible("nothing was changed"), open_store(dsn, read_only=True) as store:
        found = verify(store, run, wait)
    for note in found.notes:
        click.echo(f"otel-coverage: {printable(note)}", err=True)
    if chosen(output) == TABLE:
        _print(found)
    else:
        show_checks([check_of(found)], output, document(found))
    if not found.complete:
        sys.exit(1)


def _print(found: Verification) -> None:
    if found.complete:
        click.echo(printable(f"run {found.run}: all of it arrived: {arrived(found)}"))
        return
    rows = [
        (
            each.profile,
            each.kind,
            each.name,
            each.reason,
            each.detail,
            each.service,
            each.process,
            each.last_seen,
            each.trace,
        )
        for each in found.findings
    ]
    rows = list(dict.fromkeys(rows))  # what concerns a run at several revisions is found at each of them
    show(Result(_COLUMNS, rows), TABLE)
    click.echo(
        printable(
            f"run {found.run} is incomplete: {counted(len(rows), 'finding')} above; what arrived: {arrived(found)}"
        ),
        err=True,
    )
