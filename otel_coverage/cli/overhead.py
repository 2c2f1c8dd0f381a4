"""``otel-coverage overhead``."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import click
from opentelemetry.sdk.trace import TracerProvider

from otel_coverage.cli import options, progress
from otel_coverage.cli.audience import DEFAULT_HELP
from otel_coverage.cli.interruption import interruptible
from otel_coverage.cli.output import chosen, show
from otel_coverage.cli.playback import replay
from otel_coverage.gates.overhead import FILE
from otel_coverage.overhead.document import document
from otel_coverage.overhead.measurement import Figures, Measured, Measurement, Stop
from otel_coverage.playback import Player, files, job_status
from otel_coverage.playback.job_status import JobStatus
from otel_coverage.playback.runner import PlaybackTelemetry, check_base_url, new_run_id
from otel_coverage.printable import counted, printable
from otel_coverage.reporting.files import json_text
from otel_coverage.revision import current_revision
from otel_coverage.settings import Settings
from otel_coverage.slug import check_slug
from otel_coverage.source import SourceTree
from otel_coverage.store import Result
from otel_coverage.store.formats import JSON, TABLE

_ACKNOWLEDGED_SECONDS = 5.0  # that spans of the client may take, between two plays
_JOB_INTERVAL = 0.01  # seconds; asking twice a second, as playing does after a while, is too coarse to measure jobs
_LEAVE_SECONDS = 30.0


@click.command()
@replay.recordings
@click.option("--base-url", metavar="URL", required=True, help="The application, started by `otel-coverage run`.")
@click.option(
    "--plain-url",
    metavar="URL",
    help="The same application without `otel-coverage run`, to compare with that. [that of --base-url, not traced]",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(FILE),
    show_default=True,
    help="What `gate --overhead` and `report` read.",
)
@click.option(
    "--precision",
    type=click.FloatRange(0, min_open=True),
    default=2.0,
    show_default=True,
    metavar="PERCENT",
    help="Stop once the ends of the overall interval are no farther than that from the ratio.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 0.999),
    default=0.95,
    show_default=True,
    help="Of the intervals.",
)
@click.option(
    "--max-rounds",
    type=click.IntRange(2, 500),
    default=100,
    show_default=True,
    help="Stop after so many, at the latest.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    help="Begin no further round after so many.",
)
@click.option(
    "--pause",
    type=click.FloatRange(0, 60),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long after each play, so that what sends and stores its spans does not slow down the next one.",
)
@click.option("--run-id", help="Id of the runs with tracing; they end in .0, .1, and so on. [overhead- and the time]")
@replay.host
@replay.timeout
@replay.job_status_path
@click.option("--revision", metavar="REV", help="Of the application. [that of the source here]")
@options.source
@click.option("--format", "output", type=click.Choice([JSON, TABLE]), help=DEFAULT_HELP)
def command(
    recordings: tuple[Path, ...],
    base_url: str,
    plain_url: str | None,
    out: Path,
    precision: float,
    confidence: float,
    max_rounds: int,
    max_seconds: float,
    pause: float,
    run_id: str | None,
    host: str | None,
    timeout: float,
    job_status_path: str,
    revision: str | None,
    source: tuple[str, ...],
    output: str | None,
) -> None:
    """Measure what tracing costs: play the same profiles with and without it, in turn, and compare their times.

    After a warm-up, rounds are played until the confidence interval of the ratio, all profiles together, is narrow
    enough, or a limit is reached. A profile's time is that from its first request until its last job is done. FILE has
    the ratio with its interval, of all profiles and of each; `gate --overhead FILE` judges it, and summary.md of a
    report has a line of it.

    Without --plain-url, both are played against the application that `otel-coverage run` started: an untraced request
    to it costs nothing that could be measured. What is sent and stored after a profile's end is not part of its time.

    The plays with tracing are runs as any other, RUN.0, RUN.1, and so on.

    \b
    Exit codes:
      0  FILE was written, also where a limit came before the precision: the gate says where that does not decide
      1  a profile failed, or was not traced, or a limit came before there was an interval; FILE is as it was
      2  wrong usage, or the application cannot be reached

    \b
    Examples:
      otel-coverage overhead profiles/* --base-url http://127.0.0.1:8000
      otel-coverage overhead profiles/checkout --base-url http://127.0.0.1:8000 --precision 1 --max-seconds 1800
      otel-coverage overhead profiles/* --base-url http://127.0.0.1:8000 --plain-url http://127.0.0.1:8001
      otel-coverage gate --overhead perf-baseline.json --max-overhead 25
    """
    settings = Settings.load(source=source)
    job_status.check_path(job_status_path)
    run_id = run_id or f"overhead-{new_run_id()}"
    check_slug("the run id", f"{run_id}.{max_rounds}")
    if revision is None:
        revision = current_revision([root.folder for root in SourceTree.of(settings).roots])
    profiles = replay.loaded(recordings, job_status_path)
    files.check_writable(out)
    base_url = check_base_url(base_url)
    replay.silence_exporters()
    telemetry = PlaybackTelemetry.open(settings)
    traced = Player(
        base_url,
        run_id,
        telemetry.provider.get_tracer("otel_coverage.playback"),
        settings,
        JobStatus(job_status_path, interval=_JOB_INTERVAL),
        host=host,
        timeout=timeout,
    )
    plain = replace(
        traced,
        base_url=base_url if plain_url is None else check_base_url(plain_url),
        tracer=TracerProvider(shutdown_on_exit=False).get_tracer("otel_coverage.playback"),  # spans that go nowhere
        is_traced=False,
    )

    def after() -> None:
        telemetry.flush(_ACKNOWLEDGED_SECONDS)
        time.sleep(pause)

    stop = Stop(precision / 100, max_rounds, max_seconds, confidence)
    began, rounds, measured = datetime.now(timezone.utc), 0, None
    try:
        with (
            interruptible(lambda: f"{counted(rounds, 'round was', 'rounds were')} played; {out} is as it was"),
            progress.status("warming up") as say,
        ):
            for measured in Measurement(profiles, plain, traced, stop, after).rounds():
                rounds += 1
                say(_known(rounds, measured, stop))
    finally:
        undelivered = telemetry.close(_LEAVE_SECONDS if measured is not None else _ACKNOWLEDGED_SECONDS)
    if undelivered:
        click.echo(
            f"otel-coverage: spans of the playback itself did not reach the collector, so runs {run_id}.* are "
            "incomplete; check OTEL_EXPORTER_OTLP_ENDPOINT, or set OTEL_TRACES_EXPORTER=none",
            err=True,
        )
    assert measured is not None, "rounds() raises where nothing is known in the end"  # noqa: S101
    found = document(measured, revision, began)
    files.write_json(out, found)
    if chosen(output) == TABLE:
        show(_table(measured), output)
    else:
        click.echo(json_text(found), nl=False)
    if not measured.is_precise:
        click.echo(
            f"otel-coverage: after {rounds} rounds the interval reaches {100 * measured.overall.ratio.precision:.1f} % "
            f"from the ratio, {precision:g} % were wanted; see --max-rounds and --max-seconds",
            err=True,
        )


def _known(rounds: int, measured: Measured | None, stop: Stop) -> str:
    """What is known after a round, for people."""
    known = "" if measured is None else f": {_more(measured.overall)} more, ±{100 * stop.precision:g} % wanted"
    return f"{rounds} rounds{known}"


def _table(measured: Measured) -> Result:
    columns = ("profile", "pairs", "seconds without", "seconds with", "ratio", "low", "high")
    everything = {**measured.profiles, "(all together)": measured.overall}
    rows = [
        (
            printable(slug),
            len(each.pairs),
            f"{each.plain_seconds:.3f}",
            f"{each.traced_seconds:.3f}",
            *(f"{value:.3f}" for value in (each.ratio.ratio, each.ratio.low, each.ratio.high)),
        )
        for slug, each in everything.items()
    ]
    return Result(columns, list(rows))


def _more(figures: Figures) -> str:
    low, high = (100 * (end - 1) for end in (figures.ratio.low, figures.ratio.high))
    return f"{100 * (figures.ratio.ratio - 1):.1f} % ({low:.1f} to {high:.1f})"
