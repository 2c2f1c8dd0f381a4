"""``otel-coverage playback record``."""

from __future__ import annotations

import os
import signal as signals
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from otel_coverage.cli.playback.conversion import (
    check_absent,
    conversion_options,
    folder_of,
    rules_of,
    show_conversion,
)
from otel_coverage.errors import ConfigurationError
from otel_coverage.playback.converting import Rules, convert
from otel_coverage.playback.converting.beginning import Beginning
from otel_coverage.playback.proxy.bodies import MAX_BODY
from otel_coverage.playback.proxy.continuing import play
from otel_coverage.playback.proxy.session import Passing, Session
from otel_coverage.playback.proxy.target import Target
from otel_coverage.playback.runner import check_variables
from otel_coverage.printable import counted, printable
from otel_coverage.signals import delayed


@click.command
@click.argument("profile", metavar="NAME")
@click.option("--target", "url", metavar="URL", required=True, help="The application, e.g. http://127.0.0.1:8000.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Of 127.0.0.1; 0 for any that is free."
)
@click.option(
    "--host",
    "hosts",
    metavar="HOST",
    multiple=True,
    help="Another name of the application, or HOST:PORT, which it redirects to.",
)
@conversion_options
@click.option(
    "--max-body",
    metavar="MEGABYTES",
    type=click.IntRange(1),
    default=MAX_BODY,
    show_default=True,
    help="Bodies of requests that are larger are passed on, and not recorded.",
)
@click.option("--force", is_flag=True, help="Record a recording that is there anew.")
@click.option(
    "--from",
    "first",
    metavar="LINE",
    type=click.IntRange(2),
    help="Record a recording that is there anew from this line of it on: those before are kept, and played first.",
)
def record(
    profile: str,
    url: str,
    port: int,
    hosts: tuple[str, ...],
    out: Path | None,
    fresh: tuple[str, ...],
    keep: tuple[str, ...],
    with_paths: tuple[str, ...],
    without_paths: tuple[str, ...],
    job_status_path: str,
    max_body: int,
    force: bool,
    first: int | None,
) -> None:
    """Record what you do in a browser: a proxy on this machine, in front of the application.

    Open the address that it prints, preferably in a private window, click through the workflow, and stop it with Ctrl-C
    or SIGTERM. The recording is then made as `playback convert` makes it of a HAR file, and is for you to read and
    mend: static files, other hosts, answers 304 and polls of jobs are left out, passwords, tokens and keys become
    variables of the environment, values that an earlier answer contained are captured. Files that you upload are
    written beside it.

    The application sees its own address in Host, Origin and Referer. Redirects to it and its cookies stay with the
    proxy. WebSockets and event streams are passed on, and not recorded. A sign-on at another host returns to the
    address that is registered there, and not to the proxy: that is said as soon as it begins.

    Until it is stopped, nothing is written. One that is killed leaves the recording that was there.

    With --from LINE, the lines before that one are kept as they are, and played. The address that is printed then hands
    their session over to the browser, at their last page, and what you do from there on replaces the rest.

    \b
    Exit codes:
      0  recorded
      2  wrong usage, the application cannot be reached, a line that is kept fails, or nothing was recorded; nothing
         was written

    \b
    Examples:
      otel-coverage playback record checkout --target http://127.0.0.1:8000
      otel-coverage playback record register --target https://shop.example --fresh ada@example.org
      otel-coverage playback record checkout --target http://127.0.0.1:8000 --port 8765 --force
      otel-coverage playback record checkout --target http://127.0.0.1:8000 --from 5
    """
    from otel_coverage.playback.proxy.server import STOPS, serve  # help is shown without aiohttp, too

    target = Target.parse(url, hosts)
    folder = folder_of(profile, out)
    rules = rules_of((target.host, *hosts), keep, with_paths, without_paths, job_status_path)
    beginning = kept = None
    if first is not None:
        beginning, kept = Beginning.read(folder / "recording.jsonl", first)
        check_variables([kept], os.environ)
        beginning.environment(os.environ)
    elif not force:
        check_absent(folder, "--force records it anew, --from LINE a part of it")
    _check_writable(folder)
    show = _Lines(rules)
    session = Session(target, show.note, show.passed)

    def ready(address: str) -> None:
        if beginning is not None and kept is not None:
            click.echo(f"playing what is kept: {counted(len(beginning.steps), 'request')}", err=True)
            address += play(session, beginning, kept, address, job_status_path).path
        click.echo(f"recording {profile} of {target.origin}: open {address}, and stop with Ctrl-C", err=True)

    def stopping(signal: str) -> None:
        click.echo(f"{signal}: writing the recording", err=True)

    serve(session, port, max_body * 1_000_000, ready, stopping)
    with delayed(*(getattr(signals, name) for name in STOPS if hasattr(signals, name))):  # impatience loses nothing
        made = convert(session.source(), folder, profile, rules, fresh=fresh, beginning=beginning)
    show_conversion(made)


def _check_writable(folder: Path) -> None:
    """Check, before somebody clicks through a workflow, that it can be written."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder.parent}: {error.strerror or error}; --out names another folder") from error
    for each in (folder.parent, *([folder] if folder.exists() else [])):
        if not each.is_dir() or not os.access(each, os.W_OK):
            raise ConfigurationError(f"{each}: cannot be written to; --out names another folder")


class _Lines:
    """A line for each request, as it ends."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def passed(self, passing: Passing) -> None:
        reason = self._rules.reason(passing.exchange())
        path, status = urlsplit(passing.url).path, passing.status or "no answer"
        left_out = f"  left out: {reason}" if reason else ""
        milliseconds = f"{passing.seconds * 1000:.0f} ms"
        self._say(f"{passing.number:>5}  {passing.method} {path}  {status}  {milliseconds}{left_out}")

    def note(self, message: str) -> None:
        self._say(f"note   {message}")

    def _say(self, line: str) -> None:
        click.echo(printable(line), file=sys.stderr)
