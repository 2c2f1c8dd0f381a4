"""``otel-coverage demo``: everything at once, on an example application."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from otel_coverage.cli.interruption import interruptible
from otel_coverage.cli.output import console
from otel_coverage.demo.demo import Demo, Progress
from otel_coverage.demo.example import Example
from otel_coverage.demo.processes import ProcessError, ended_by_signals
from otel_coverage.errors import ConfigurationError, OtelCoverageError
from otel_coverage.playback.runner import new_run_id
from otel_coverage.reporting.terminal import show


@click.command
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("artifacts"),
    show_default=True,
    help="Folder for the report.",
)
@click.option(
    "--profile", "slugs", metavar="SLUG", multiple=True, help="A profile to play; repeatable.  [default: all]"
)
@click.option(
    "--concurrency", type=click.IntRange(1), default=1, show_default=True, help="Profiles that are played concurrently."
)
@click.option(
    "--worker-class",
    type=click.Choice(["gthread", "gevent"]),
    default="gthread",
    show_default=True,
    help="gunicorn's worker class for the application.",
)
@click.option("--keep-store", is_flag=True, help="Keep the store in a folder beside the report's, for queries.")
@click.option("--verbose", is_flag=True, help="Print the commands that are run.")
def command(
    out: Path, slugs: tuple[str, ...], concurrency: int, worker_class: str, keep_store: bool, verbose: bool
) -> None:
    """Play the example application's profiles and report which functions each of them executes.

    Starts Redis, the collector with an embedded ClickHouse, the example under gunicorn and an RQ worker, all on free
    loopback ports, and stops them again, also on Ctrl-C.

    \b
    Examples:
      otel-coverage demo
      otel-coverage demo --profile checkout --profile refund --keep-store
    """
    example = Example.find()
    example.check(worker_class)
    recordings = example.recordings(slugs)
    out = out.resolve()
    if out.exists() and not out.is_dir():
        raise ConfigurationError(f"{out} is not a folder; choose another with --out")
    store = out.with_name(f"{out.name}-store-{new_run_id()}") if keep_store else None
    progress = Progress(console(), verbose=verbose)
    demo = Demo(example, recordings, out, concurrency, store, worker_class)
    try:
        with ended_by_signals(), interruptible(f"its processes were stopped; {out} is as it was"):
            report = demo.run(progress)
    except OtelCoverageError as error:
        if isinstance(error, ProcessError) and error.tail:
            click.echo(error.tail, err=True)
        click.echo(f"The logs are in {demo.logs}", err=True)
        raise
    progress.print("")
    show(report, progress.console)
    if store is not None:
        progress.print(f"The store is kept: otel-coverage query leaderboard --store chdb://{store}")
    if not report.queries.complete:
        sys.exit(1)
