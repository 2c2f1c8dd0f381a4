"""``otel-coverage playback``: replays recorded workflows."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import Outcome, Player, Profile, job_status, load
from otel_coverage.playback.job_status import JobStatus
from otel_coverage.playback.runner import PlaybackTelemetry, check_base_url, new_run_id, play_all
from otel_coverage.settings import Settings
from otel_coverage.slug import RUN_ID_RULE, is_run_id


@click.group
def command() -> None:
    """Replay recorded workflows against a running application.

    \b
    Example:
      otel-coverage playback run profiles/* --base-url http://127.0.0.1:8000
    """


@command.command
@click.argument("recordings", metavar="RECORDING...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--base-url", metavar="URL", required=True, help="The application, e.g. http://127.0.0.1:8000.")
@click.option("--run-id", help="Id of the run. [OTEL_COVERAGE_RUN_ID, else a new one]")
@click.option(
    "--concurrency", type=click.IntRange(1), default=1, show_default=True, help="Profiles that are played concurrently."
)
@click.option(
    "--job-status",
    "job_status_path",
    metavar="PATH",
    default=job_status.PATH,
    show_default=True,
    help="Path that returns a job's status as JSON; empty to wait for no job.",
)
@click.option(
    "--job-timeout",
    type=click.FloatRange(0, min_open=True),
    default=job_status.TIMEOUT,
    show_default=True,
    help="Seconds until an unfinished job fails its profile.",
)
def run(
    recordings: tuple[Path, ...],
    base_url: str,
    run_id: str | None,
    concurrency: int,
    job_status_path: str,
    job_timeout: float,
) -> None:
    """Replay each playback recording: a file, or the folder of a profile.

    The requests carry the profile's name as OpenTelemetry baggage, so that a traced application records what each
    profile executes. Before a GET, and at the end, the command waits for the jobs that earlier requests enqueued. All
    files are checked before the first request is sent.

    A terminal shows a progress bar; a pipe gets a line of JSON for each finished profile. The exit code is 1 if a
    profile failed or the playback's own spans did not reach the collector.

    \b
    Examples:
      otel-coverage playback run profiles/checkout --base-url http://127.0.0.1:8000
      otel-coverage playback run profiles/* --base-url http://127.0.0.1:8000 --concurrency 4
    """
    settings = Settings.load()
    if job_status_path and "{job_id}" not in job_status_path:
        raise ConfigurationError(f"--job-status {job_status_path!r} must contain {{job_id}}")
    run_id = run_id or settings.run_id or new_run_id()
    if not is_run_id(run_id):
        raise ConfigurationError(f"the run id {run_id!r} is not valid; use {RUN_ID_RULE}")
    profiles = [load(path, job_status=job_status_path) for path in recordings]
    for profile in profiles:
        for skipped in profile.skipped:
            click.echo(f"otel-coverage: {profile.origin}: {skipped}; skipped", err=True)
    base_url = check_base_url(base_url)
    for name in ("opentelemetry", "otel_coverage"):
        logging.getLogger(name).addHandler(logging.NullHandler())  # their warnings are replaced by the one below
    telemetry = PlaybackTelemetry.open()
    tracer = telemetry.provider.get_tracer("otel_coverage.playback")
    player = Player(base_url, run_id, tracer, settings, JobStatus(job_status_path, job_timeout))
    try:
        outcomes = list((_on_terminal if sys.stdout.isatty() else _in_pipe)(player, profiles, concurrency))
    finally:
        lost = telemetry.close()
        if lost:
            click.echo(
                f"otel-coverage: {lost} spans of the playback itself did not reach the collector, so run {run_id} will "
                "be reported as incomplete; check OTEL_EXPORTER_OTLP_ENDPOINT, or set OTEL_TRACES_EXPORTER=none",
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
