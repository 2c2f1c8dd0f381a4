"""``otel-coverage playback run``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from otel_coverage import waiting
from otel_coverage.cli import options
from otel_coverage.cli.audience import read_by_people
from otel_coverage.cli.interruption import interruptible
from otel_coverage.cli.playback import replay
from otel_coverage.errors import OtelCoverageError
from otel_coverage.playback import Outcome, Player, Profile, files, job_status
from otel_coverage.playback.delivery import Delivered
from otel_coverage.playback.job_status import JobStatus
from otel_coverage.playback.outcome import StepResult
from otel_coverage.playback.results import Session
from otel_coverage.playback.runner import (
    PlaybackTelemetry,
    check_base_url,
    new_run_id,
    play_all,
    repetitions,
)
from otel_coverage.playback.schemas import schema
from otel_coverage.printable import counted, listed, printable
from otel_coverage.settings import Settings
from otel_coverage.slug import check_slug

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from otel_coverage.store.arrival import Arrival

_PLAN_SECONDS = 3.0  # that the first request waits for the collector to know what is planned
_LEAVE_SECONDS = 2.0  # that an interrupted command waits for the collector


@click.command
@replay.recordings
@click.option("--base-url", metavar="URL", required=True, help="The application, e.g. http://127.0.0.1:8000.")
@replay.host
@click.option(
    "--trace-code/--no-trace-code",
    default=True,
    show_default=True,
    help="Have the application record what each profile executes, or only play.",
)
@click.option("--run-id", help="Id of the run. [OTEL_COVERAGE_RUN_ID, else a new one]")
@click.option(
    "--concurrency", type=click.IntRange(1), default=1, show_default=True, help="Profiles that are played concurrently."
)
@click.option(
    "--repeat",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How often each profile is played; the second time as run ID.2, and so on.",
)
@click.option(
    "--think-time",
    type=click.Choice(["none", "recorded"]),
    default="none",
    show_default=True,
    help="Wait between requests as the recorded user did.",
)
@replay.timeout
@click.option(
    "--retries",
    type=click.IntRange(0, 20),
    default=0,
    show_default=True,
    help="How often to send GET, PUT and DELETE again that got no answer, or 502, 503 or 504; others only where no "
    "connection could be made.",
)
@replay.job_status_path
@click.option(
    "--job-timeout",
    type=click.FloatRange(0, min_open=True),
    default=job_status.TIMEOUT,
    show_default=True,
    help="Seconds until an unfinished job fails its profile.",
)
@click.option(
    "--store",
    "dsn",
    envvar="OTEL_COVERAGE_STORE",
    metavar="DSN",
    help="Wait until this store has all of the run, jobs and their jobs included, and say what is missing. "
    "[OTEL_COVERAGE_STORE]",
)
@click.option(
    "--wait",
    "arrival_timeout",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=waiting.SECONDS,
    show_default=True,
    help="How long, at the end, that may take: as long as the longest job, where jobs have no --job-status.",
)
@click.option(
    "--delivery-timeout",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="How long, at the end, the collector may take to acknowledge the playback's own spans.",
)
@click.option(
    "--allow-untraced",
    is_flag=True,
    help="Exit with 0 although nothing says that the application is traced, or spans were not delivered.",
)
@click.option("--result", "result_file", metavar="FILE", type=click.Path(path_type=Path), help="Write result.json.")
@click.option("--junit", "junit_file", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML.")
@click.option("-v", "--verbose", is_flag=True, help="A line for each request; on stderr where stdout is a pipe.")
@options.schema(schema, "Print the JSON Schema of recording.jsonl (of each line) or result.json, and end.")
def run(
    recordings: tuple[Path, ...],
    base_url: str,
    host: str | None,
    trace_code: bool,
    run_id: str | None,
    concurrency: int,
    repeat: int,
    think_time: str,
    timeout: float,
    retries: int,
    job_status_path: str,
    job_timeout: float,
    dsn: str | None,
    arrival_timeout: float,
    delivery_timeout: float,
    allow_untraced: bool,
    result_file: Path | None,
    junit_file: Path | None,
    verbose: bool,
) -> None:
    """Replay each playback recording: a file, or the folder of a profile.

    The requests carry the profile's name as OpenTelemetry baggage, so that a traced application records what each
    profile executes. Before a GET, and at the end, the command waits for the jobs that earlier requests enqueued. All
    files are checked before the first request is sent. Cookies, CSRF tokens and captured values are those of the
    application that is played against; ${env:NAME} in a recording is an environment variable.

    A HAR file is not played as it is: `otel-coverage playback convert` makes a recording of it first.

    A terminal shows a progress bar; a pipe gets a line of JSON for each finished profile.

    Spans of the playback itself say what is to arrive of the run. They are sent again until the collector acknowledges
    them: while profiles are played, and for --delivery-timeout after that. What is left then lies in the spool, which
    is sent once the collector can be reached (`otel-coverage spool status`); without a spool it is lost.

    With --store the command then waits until the store has all that the profiles set in motion: the traces say which
    jobs were queued, by requests or by other jobs, and which have ended. Jobs that are scheduled for later are named,
    and not waited for.

    \b
    Exit codes:
      0    every profile passed and was traced, and every span of the playback was acknowledged
      1    a profile failed; or nothing says that the application traced it (neither a response nor the store), spans
           of the playback were not acknowledged, or with --store requests or jobs did not arrive: what was recorded
           would not be known, or not known to be complete. --allow-untraced makes 0 of these
      2    wrong usage, or the application cannot be reached
      130  interrupted

    \b
    Examples:
      otel-coverage playback run profiles/checkout --base-url http://127.0.0.1:8000
      otel-coverage playback run profiles/* --base-url http://127.0.0.1:8000 --concurrency 4
      otel-coverage playback run profiles/* --base-url https://staging.example.org --store chdb:///var/lib/coverage
      otel-coverage playback run profiles/* --base-url "$URL" --store "$STORE" --job-status "" --wait 900
      otel-coverage playback run profiles/checkout --base-url http://127.0.0.1:8000 --no-trace-code -v
      otel-coverage playback run profiles/* --base-url "$URL" --result result.json --junit playback.xml
    """
    settings = Settings.load()
    job_status.check_path(job_status_path)
    run_id = check_slug("the run id", run_id or settings.run_id or new_run_id())
    profiles = replay.loaded(recordings, job_status_path)
    for written in filter(None, (result_file, junit_file)):
        files.check_writable(written)
    base_url = check_base_url(base_url)
    replay.silence_exporters()
    telemetry = PlaybackTelemetry.open(settings) if trace_code else None
    player = Player(
        base_url,
        run_id,
        _tracer(telemetry),
        settings,
        JobStatus(job_status_path, job_timeout),
        host=host,
        timeout=timeout,
        retries=retries,
        thinks=think_time == "recorded",
        is_traced=trace_code,
    )
    players = repetitions(player, repeat)
    for each in players:
        check_slug("the run id", each.run_id)
    plays = [(each, profile) for each in players for profile in profiles]
    outcomes: list[Outcome] = []
    undelivered = Delivered()
    began, started = datetime.now(timezone.utc), time.monotonic()
    try:
        if telemetry is not None:
            for each, profile in plays:
                each.plan(profile)
            telemetry.flush(_PLAN_SECONDS)
        with interruptible(lambda: f"{len(outcomes)} of {len(plays)} profiles were played whole in run {run_id}"):
            outcomes.extend((_on_terminal if read_by_people() else _in_pipe)(plays, concurrency, verbose))
    finally:
        is_played = len(outcomes) == len(plays)
        seconds = time.monotonic() - started
        slugs = [profile.slug for profile in profiles]
        session = Session(run_id, base_url, began, seconds, slugs, repeat, outcomes, trace_code)
        if result_file is not None:
            files.write_json(result_file, session.as_json())
        if junit_file is not None:
            files.write_whole(junit_file, session.as_junit())
        if telemetry is not None:
            undelivered = telemetry.close(delivery_timeout if is_played else min(delivery_timeout, _LEAVE_SECONDS))
        for problem in _undelivered(run_id, undelivered):
            click.echo(f"otel-coverage: {problem}", err=True)
    unrecorded: list[str] = []
    if trace_code:
        for each in players:
            own = [outcome for outcome in outcomes if outcome.run_id == each.run_id]
            unrecorded += _unrecorded(each.run_id, own, dsn, arrival_timeout)
    for problem in unrecorded:
        click.echo(f"otel-coverage: {problem}", err=True)
    if not all(outcome.passed for outcome in outcomes) or ((undelivered or unrecorded) and not allow_untraced):
        sys.exit(1)


def _tracer(telemetry: PlaybackTelemetry | None) -> Tracer:
    from opentelemetry.trace import NoOpTracer

    return NoOpTracer() if telemetry is None else telemetry.provider.get_tracer("otel_coverage.playback")


def _undelivered(run_id: str, outcome: Delivered) -> Iterator[str]:
    """What became of spans of the playback that were not acknowledged, a sentence for each case."""
    if outcome.spooled:
        spooled = counted(
            outcome.spooled,
            "span of the playback itself was not acknowledged by the collector; it lies in the spool and is sent",
            "spans of the playback itself were not acknowledged by the collector; they lie in the spool and are sent",
        )
        yield f"{spooled} from there, see `otel-coverage spool status`: until then run {run_id} is incomplete"
    if outcome.lost:
        yield (
            f"{counted(outcome.lost, 'span')} of the playback itself did not reach the collector, so no report "
            f"can tell whether all of run {run_id} arrived; check OTEL_EXPORTER_OTLP_ENDPOINT, or set "
            "OTEL_TRACES_EXPORTER=none"
        )


def _unrecorded(run_id: str, outcomes: list[Outcome], dsn: str | None, timeout: float) -> Iterator[str]:
    """What says that profiles were played and not recorded, a sentence for each cause."""
    played = {outcome.profile: outcome.traced > 0 for outcome in outcomes if outcome.requests}
    arrival: Arrival | None = None
    if dsn is not None and played:
        try:
            arrival = waiting.arrival_in(dsn, run_id, played, timeout)
        except OtelCoverageError as error:
            yield f"whether all of run {run_id} arrived is not known: {error}"
    arrived = frozenset() if arrival is None else arrival.profiles
    untraced = [profile for profile, traced in played.items() if not traced and profile not in arrived]
    if untraced:
        look = "; --store DSN looks for it in the store" if dsn is None else ""
        yield (
            f"nothing says that the application traced {listed(sorted(untraced))} in run {run_id}: start it by "
            "`otel-coverage run -- …` with OTEL_COVERAGE_ENABLED=1, and with the OTEL_COVERAGE_TOKEN that is set here, "
            f"if one is{look}; --allow-untraced accepts it"
        )
    if arrival is not None:
        yield from waiting.lacking(arrival, run_id, played.keys() - {*untraced}, timeout)
        for note in waiting.not_waited_for(arrival, run_id):
            click.echo(f"otel-coverage: {note}", err=True)


_Plays = Sequence[tuple[Player, Profile]]


def _in_pipe(plays: _Plays, concurrency: int, verbose: bool) -> Iterator[Outcome]:
    def say(player: Player, profile: Profile, result: StepResult) -> None:
        if verbose:
            click.echo(_line(profile, result), err=True)

    for outcome in play_all(plays, concurrency, say):
        click.echo(json.dumps(outcome.as_json()))
        yield outcome


def _on_terminal(plays: _Plays, concurrency: int, verbose: bool) -> Iterator[Outcome]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True) as progress:
        total = sum(len(profile.steps) for _, profile in plays)
        task = progress.add_task(f"run {plays[0][0].run_id}", total=total)

        def say(player: Player, profile: Profile, result: StepResult) -> None:
            progress.advance(task)
            if verbose:
                progress.console.print(_line(profile, result), markup=False, highlight=False)

        for outcome in play_all(plays, concurrency, say):
            mark = "[green]passed[/]" if outcome.passed else "[red]failed[/]"
            progress.console.print(
                f"{mark}  {outcome.profile}  {counted(outcome.requests, 'request')}, {counted(outcome.jobs, 'job')}, "
                f"{outcome.seconds:.1f} s"
            )
            if outcome.failure:
                progress.console.print(f"        {printable(outcome.failure)}", markup=False, highlight=False)
            yield outcome


def _line(profile: Profile, result: StepResult) -> str:
    """One request, for people; of the path what the recording says, so that nothing from the environment is shown."""
    statuses = [str(each) for each in (result.status, result.final_status) if each is not None]
    status = " → ".join(dict.fromkeys(statuses)) or "no answer"
    again = f"  {result.attempts} attempts" if result.attempts > 1 else ""
    path = printable(f"{result.method} {result.path}")
    return f"{profile.slug}  line {result.line}  {path}  {status}  {result.seconds * 1000:.0f} ms  {result.word}{again}"
