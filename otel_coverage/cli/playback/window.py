"""``otel-coverage playback begin``, ``end`` and ``exec``: when another client plays a profile, and how that went."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone

import click

from otel_coverage import waiting
from otel_coverage.cli.playback.names import named_run, variables_of
from otel_coverage.cli.stores import open_store
from otel_coverage.errors import ConfigurationError, OtelCoverageError
from otel_coverage.printable import listed, printable
from otel_coverage.store import Store, windows
from otel_coverage.store.folding.settings import FoldSettings
from otel_coverage.store.windows import Window

_PASSED_ON = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"))

_store = click.option(
    "--store",
    "dsn",
    required=True,
    envvar="OTEL_COVERAGE_STORE",
    metavar="DSN",
    help="The store, or the ClickHouse endpoint of its collector. [OTEL_COVERAGE_STORE]",
)
_run_id = click.option(
    "--run-id",
    metavar="ID",
    help="Id of the run. [OTEL_COVERAGE_RUN_ID; else the run of the day: see below]",
)
_at = click.option("--at", metavar="TIME", help="When, in ISO 8601, UTC where it names no zone. [now]")


@click.command
@click.argument("slug")
@_store
@_run_id
@_at
def begin(slug: str, dsn: str, run_id: str | None, at: str | None) -> None:
    """Say that a client begins to play the profile SLUG: its requests from now on belong to one run.

    For clients that send X-Profile-Trace and no run id. The run's id is printed. A request belongs to the run whose
    window holds its start, by the server's clock, and its jobs with it, however long they run; clocks may differ by as
    much as `schema apply --clock-skew` says. A window that is never ended holds requests for six hours.

    Without --run-id, profiles that are played one after the other are one run, named by the day (UTC) on which the
    first of them began, until six hours have passed without any. Played once more, a profile is in a run of its own,
    2026-11-26.2. A profile whose window is open stays in it.

    \b
    Examples:
      otel-coverage playback begin checkout --store clickhouse://user:password@host:8123/otel
      otel-coverage playback begin checkout --run-id "$GITHUB_RUN_ID"
    """
    moment = _moment(at)
    name = named_run(slug, run_id)
    with open_store(dsn, via_collector=True) as store:
        known = windows.windows_near(store, slug, moment)
        open_now = _open(known, slug, moment)
        if name is None:
            name = open_now[-1].run if open_now else windows.default_run(known, slug, moment)
        windows.say(store, slug, name, "begin", moment)
        problems = [*_said_at_begin(slug, name, open_now), *_clock_problem(store)]
    for problem in problems:
        click.echo(f"otel-coverage: {problem}", err=True)
    click.echo(name)


@click.command
@click.argument("slug")
@_store
@_run_id
@click.option(
    "--outcome",
    type=click.Choice(["passed", "failed"]),
    required=True,
    help="A run that failed does not count where another one of the profile at that revision passed.",
)
@_at
def end(slug: str, dsn: str, run_id: str | None, outcome: str, at: str | None) -> None:
    """Say that the client has ended, and how. The run's id is printed.

    Without --run-id it ends the profile's open window. Ended again, a window ends at the later time, and has failed if
    it failed once.

    \b
    Examples:
      otel-coverage playback end checkout --outcome passed --store clickhouse://user:password@host:8123/otel
      otel-coverage playback end checkout --outcome failed --run-id 2026-11-26 --at 2026-11-26T03:40:00Z
    """
    moment = _moment(at)
    name = named_run(slug, run_id)
    with open_store(dsn, via_collector=True) as store:
        known = windows.windows_near(store, slug, moment)
        own = [each for each in known if each.profile == slug]
        problem = ""
        if name is None:
            name, problem = _ended_run(slug, own, known, moment)
        elif not any(each.run == name and each.begins for each in own):
            problem = _without_begin(slug, name)
        windows.say(store, slug, name, "end", moment, outcome)
    if problem:
        click.echo(f"otel-coverage: {problem}", err=True)
    click.echo(name)


@click.command(name="exec")
@click.argument("slug")
@_store
@_run_id
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="How long to wait, afterwards, until the store has all that COMMAND set in motion, jobs of jobs included.",
)
@click.argument("command_line", nargs=-1, required=True, metavar="-- COMMAND [ARGUMENT]...")
def execute(slug: str, dsn: str, run_id: str | None, wait: float, command_line: tuple[str, ...]) -> None:
    """Run COMMAND, which plays the profile SLUG, and say when it began, when it ended, and how.

    It passed where COMMAND exits with 0. Signals are passed on to it, and its exit code is the one of this command;
    128 and the signal's number where a signal ended it. COMMAND gets these variables beside what it has; one that sends
    the header needs no window:

    \b
      PLAYBACK_HEADER   the header, for curl: baggage: playback.profile=SLUG,playback.run_id=ID
      PLAYBACK_HEADERS  the same as JSON, for Playwright's extraHTTPHeaders
      BAGGAGE           its value, which OpenTelemetry's tools read
      PLAYBACK_PROFILE  SLUG
      PLAYBACK_RUN_ID   ID, once it is known

    With --wait, what has not arrived then is named, and the exit code is 1 where it would be 0. Jobs that are scheduled
    for later are named, and not waited for.

    If the store cannot be reached, COMMAND runs all the same; if it cannot be reached afterwards either, that is said,
    and the exit code is 1 where it would be 0.

    \b
    Examples:
      otel-coverage playback exec checkout --store "$STORE" -- wctl run-test-profile checkout --trace-code
      otel-coverage playback exec checkout --run-id "$GITHUB_RUN_ID" -- ./play-checkout.sh
      otel-coverage playback exec smoke --wait 60 -- sh -c 'curl -H "$PLAYBACK_HEADER" http://127.0.0.1:8000/'
      otel-coverage playback exec pages -- npx playwright test
    """
    name = named_run(slug, run_id)
    if shutil.which(command_line[0]) is None:
        raise ConfigurationError(f"{command_line[0]}: command not found on PATH")
    began = datetime.now(timezone.utc)
    unsaid: OtelCoverageError | None = None
    try:
        with open_store(dsn, via_collector=True) as store:
            known = windows.windows_near(store, slug, began)
            open_now = _open(known, slug, began)
            name = name or windows.default_run(known, slug, began)
            windows.say(store, slug, name, "begin", began)
            problems = [*_said_at_begin(slug, name, open_now), *_clock_problem(store)]
    except ConfigurationError:
        raise
    except OtelCoverageError as error:
        click.echo(f"otel-coverage: that {slug} begins is said when it has ended: {error}", err=True)
        unsaid = error
    else:
        for problem in problems:
            click.echo(f"otel-coverage: {problem}", err=True)
        click.echo(f"otel-coverage: run {name}", err=True)
    code = _run(command_line, _environment(slug, name))
    ended = datetime.now(timezone.utc)
    try:
        with open_store(dsn, via_collector=True) as store:
            if name is None:
                name = windows.default_run(windows.windows_near(store, slug, began), slug, began)
            if unsaid is not None:
                windows.say(store, slug, name, "begin", began)
            windows.say(store, slug, name, "end", ended, "failed" if code else "passed")
    except OtelCoverageError as error:
        run = f" --run-id {name}" if name else ""
        outcome = "failed" if code else "passed"
        missed = f"`playback begin {slug}{run} --at {_text(began)}` and " if unsaid is not None else ""
        click.echo(
            f"otel-coverage: how {slug} went is not in the store; {missed}`playback end {slug}{run} "
            f"--outcome {outcome} --at {_text(ended)}` say it later: {printable(str(error))}",
            err=True,
        )
        code = code or 1
    else:
        code = code or _waited_for(dsn, name, slug, wait)
    sys.exit(code)


def _waited_for(dsn: str, run: str, slug: str, timeout: float) -> int:
    """Wait until the store has all of a profile, and say what it lacks. Returns the exit code."""
    if not timeout:
        return 0
    try:
        arrival = waiting.arrival_in(dsn, run, [slug], timeout)
        problems = [*waiting.lacking(arrival, run, arrival.profiles, timeout)]
        if not arrival.profiles:
            nothing = (
                f"nothing of {slug} arrived in the store within {timeout:g} s: start the application by `otel-coverage "
                "run -- …` with OTEL_COVERAGE_ENABLED=1, and with the OTEL_COVERAGE_TOKEN that is set here, if one is; "
                "and send PLAYBACK_HEADER with each request"
            )
            problems = [nothing]
        notes = [*waiting.not_waited_for(arrival, run)]
    except OtelCoverageError as error:
        problems, notes = [f"whether all of run {run} arrived is not known: {error}"], []
    for sentence in (*problems, *notes):
        click.echo(f"otel-coverage: {printable(sentence)}", err=True)
    return 1 if problems else 0


def _run(command_line: Sequence[str], environ: dict[str, str]) -> int:
    """Run a command, with the signals that this process gets, and return its exit code as a shell does."""
    try:
        child = subprocess.Popen(command_line, env=environ)
    except OSError as error:
        click.echo(f"otel-coverage: {command_line[0]} cannot be started: {error.strerror}", err=True)
        return 126

    def pass_on(number: int, _: object) -> None:
        with suppress(ProcessLookupError):
            child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code


def _environment(slug: str, run: str | None) -> dict[str, str]:
    """This process's environment, with baggage that names the playback in place of what names another one."""
    variables = variables_of(slug, run)
    others = [each for each in os.environ.get("BAGGAGE", "").split(",") if each and not each.startswith("playback.")]
    return {**os.environ, **variables, "BAGGAGE": ",".join([variables["BAGGAGE"], *others])}


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(timezone.utc)
    try:
        found = datetime.fromisoformat(text)
        found = (found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        found = datetime.min.replace(tzinfo=timezone.utc)
    if not 1970 <= found.year < 2262:
        raise ConfigurationError(f"--at {text!r}: not a time; write it as 2026-11-26T03:40:00Z")
    return found


def _open(known: Sequence[Window], slug: str, now: datetime) -> list[Window]:
    """The open windows of a profile that still hold requests."""
    return [each for each in known if each.profile == slug and each.is_open and now - each.last_began <= windows.NIGHT]


def _said_at_begin(slug: str, run: str, open_now: Sequence[Window]) -> list[str]:
    again = [each for each in open_now if each.run == run]
    others = [each.run for each in open_now if each.run != run]
    said = [
        f"{slug} began in run {run} before, at {_text(each.last_began)}, and has not ended since: its window goes on; "
        f"`playback end {slug}` first makes the next one a run of its own"
        for each in again
    ]
    if others:
        said.append(
            f"{slug} is being played in run {listed(others)} as well: requests that begin while several "
            "windows are open belong to none of them; end the others by "
            f"`playback end {slug} --run-id {others[0]} --outcome failed`"
        )
    return said


def _clock_problem(store: Store) -> list[str]:
    """What is to be said where this machine's clock and the store's differ by more than requests may miss a window."""
    ahead = windows.clock_difference(store).total_seconds()
    allowed = FoldSettings.of(store).skew
    if abs(ahead) <= allowed:
        return []
    how = "ahead of" if ahead > 0 else "behind"
    problem = (
        f"this machine's clock is {abs(ahead):.1f} s {how} the store's, and requests may miss a window by {allowed} s: "
        f"set one of the clocks, or `schema apply --clock-skew {int(abs(ahead)) + 1}`"
    )
    return [problem]


def _ended_run(slug: str, own: Sequence[Window], known: list[Window], now: datetime) -> tuple[str, str]:
    """The run that an end without a run id is of, and what is to be said about it."""
    open_now = [each for each in own if each.is_open]
    recent = _open(own, slug, now)
    if len(recent) > 1:
        raise ConfigurationError(
            f"{slug} is being played in several runs, {listed([each.run for each in recent])}; --run-id names one"
        )
    if recent or open_now:
        return (recent or open_now)[-1].run, ""
    begun = [each for each in own if each.begins]
    if begun and now - begun[-1].last <= windows.NIGHT:
        last = begun[-1]
        return last.run, f"{slug} has ended in run {last.run} before, at {_text(last.ended)}, and {last.outcome}"
    run = windows.default_run(known, slug, now)
    return run, _without_begin(slug, run)


def _without_begin(slug: str, run: str) -> str:
    return (
        f"{slug} never began in run {run}, so no request belongs to it; "
        f"`playback begin {slug} --run-id {run} --at TIME` says when it did"
    )


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}"
