"""``otel-coverage playback``: replay recorded workflows."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import Outcome, Player, Profile, jobs, read
from otel_coverage.playback.delivery import Delivery
from otel_coverage.playback.jobs import JobStatus
from otel_coverage.playback.playing import checked_base_url, fresh_run_id, play_all
from otel_coverage.settings import Settings
from otel_coverage.slug import is_run_id


@click.group
def command() -> None:
    """Replay recorded workflows against a running application.

    \b
    Example:
      otel-coverage playback run profiles/* --base-url http://127.0.0.1:8000
    """


@command.command
@click.argument("recordings", metavar="RECORDING...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--base-url", required=True, help="Address of the application, e.g. http://127.0.0.1:8000.")
@click.option("--run-id", help="Name of the run that all of this belongs to.  [default: a new one]")
@click.option(
    "--concurrency", type=click.IntRange(1), default=1, show_default=True, help="Profiles played at the same time."
)
@click.option(
    "--job-status",
    default=jobs.PATH,
    show_default=True,
    help="Path that tells a job's status as JSON; empty to wait for no job.",
)
@click.option(
    "--job-timeout",
    type=click.FloatRange(0, min_open=True),
    default=jobs.TIMEOUT,
    show_default=True,
    help="Seconds that a job may take before its profile counts as failed.",
)
def run(
    recordings: tuple[Path, ...],
    base_url: str,
    run_id: str | None,
    concurrency: int,
    job_status: str,
    job_timeout: float,
) -> None:
    """Replay each RECORDING: a file, or a profile's folder.

    Its requests carry the profile's name as OpenTelemetry baggage, so that a traced application records what each
    profile executes. Before a GET, and at the end, the jobs that earlier requests enqueued are waited for. All
    recordings are read and checked before the first request is sent.

    On a terminal a bar shows the progress; in a pipe each finished profile is a line of JSON. The exit code is 1 when a
    profile failed or the playback's own spans did not reach the collector.

    \b
    Examples:
      otel-coverage playback run profiles/checkout --base-url http://127.0.0.1:8000
      otel-coverage playback run profiles/* --base-url http://127.0.0.1:8000 --concurrency 4
    """
    settings = Settings.load()
    if job_status and "{job_id}" not in job_status:
        raise ConfigurationError(f"--job-status {job_status!r}: the path has no {{job_id}} in it")
    run_id = run_id or settings.run_id or fresh_run_id()
    if not is_run_id(run_id):
        raise ConfigurationError(f"run id {run_id!r}: 1 to 128 printable ASCII characters without a space are wanted")
    profiles = [read(path, job_status=job_status) for path in recordings]
    for profile in profiles:
        for left_out in profile.left_out:
            click.echo(f"otel-coverage: {profile.origin}: {left_out}; left out", err=True)
    base_url = checked_base_url(base_url)
    for name in ("opentelemetry", "otel_coverage"):
        logging.getLogger(name).addHandler(logging.NullHandler())  # what matters of it is said below, in a line
    delivery = Delivery.open()
    tracer = delivery.provider.get_tracer("otel_coverage.playback")
    player = Player(base_url, run_id, tracer, settings, JobStatus(job_status, job_timeout))
    try:
        outcomes = list((_on_terminal if sys.stdout.isatty() else _in_pipe)(player, profiles, concurrency))
    finally:
        lost = delivery.close()
        if lost:
            click.echo(
                f"otel-coverage: {lost} spans of the playback itself did not reach the collector, so run {run_id} will "
                "look incomplete; check OTEL_EXPORTER_OTLP_ENDPOINT, or set OTEL_TRACES_EXPORTER=none",
                err=True,
            )
    if lost or not all(outcome.passed for outcome in outcomes):
        sys.exit(1)


def _in_pipe(player: Player, profiles: list[Profile], concurrency: int) -> Iterator[Outcome]:
    for outcome in play_all(player, profiles, concurrency):
        click.echo(json.dumps(outcome.as_json()))
        yield outcome


def _on_terminal(player: Player, profiles: list[Profile], concurrency: int) -> Iterator[Outcome]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task(f"run {player.run_id}", total=sum(len(profile.steps) for profile in profiles))
        for outcome in play_all(player, profiles, concurrency, lambda profile: progress.advance(task)):
            mark = "[green]passed[/]" if outcome.passed else "[red]failed[/]"
            progress.console.print(
                f"{mark}  {outcome.profile}  {outcome.requests} requests, {outcome.jobs} jobs, {outcome.seconds:.1f} s"
            )
            if outcome.failure:
                progress.console.print(f"        {outcome.failure}", markup=False, highlight=False)
            yield outcome
