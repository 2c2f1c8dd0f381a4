"""``otel-coverage spool``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from otel_coverage.cli.audience import DEFAULT_HELP, read_by_people
from otel_coverage.cli.group import CommandGroup
from otel_coverage.cli.interruption import interruptible
from otel_coverage.errors import ConfigurationError
from otel_coverage.printable import counted, printable
from otel_coverage.settings import Settings
from otel_coverage.spool.drain import Counts
from otel_coverage.spool.folder import default_base, spool_folder
from otel_coverage.spool.spool_file import is_supported
from otel_coverage.spool.status import SpoolStatus, spools_below

_folder = click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="This spool. [OTEL_COVERAGE_SPOOL, else those of all services of this user]",
)


@click.group(cls=CommandGroup)
def command() -> None:
    """Show and send the spans that wait in files for being sent.

    Processes of an application append their spans to a spool, and a process of its own sends them. docs/spool.md
    describes it.

    \b
    Examples:
      otel-coverage spool status
      OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4317 otel-coverage spool flush
    """


@command.command()
@_folder
@click.option("--format", "output", type=click.Choice(["json", "table"]), help=DEFAULT_HELP)
def status(folder: Path | None, output: str | None) -> None:
    """Show each spool: what waits in it, since when, who sends it, and what went wrong last.

    \b
    Examples:
      otel-coverage spool status
      otel-coverage spool status --folder /var/spool/shop --format json
    """
    found = [SpoolStatus.of(each) for each in _folders(folder)]
    if (output or ("table" if read_by_people() else "json")) == "json":
        click.echo(json.dumps([asdict(each) for each in found], indent=2, default=datetime.isoformat))
    elif found:
        click.echo("\n\n".join(map(_described, found)))
    else:
        click.echo(f"no spool in {default_base()}")


@command.command()
@_folder
@click.option("--timeout", type=click.FloatRange(min=0), default=30.0, metavar="SECONDS", help="Give up then. [30]")
@click.option("--refused", is_flag=True, help="Send once more what the receiver has refused, too.")
def flush(folder: Path | None, timeout: float, refused: bool) -> int:
    """Send now what waits, where the OTEL_EXPORTER_OTLP_* variables say. Exit code 1 when something is left.

    \b
    Examples:
      OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4317 otel-coverage spool flush
      otel-coverage spool flush --folder /var/spool/shop --timeout 300
    """
    from otel_coverage.spool.flush import flush as flush_spool

    settings = Settings.load()
    is_left = False
    with interruptible("what was not sent is kept; run the command again to send the rest"):
        for each in _folders(folder):

            def progress(counts: Counts, name: str = str(each)) -> None:
                if sys.stderr.isatty():
                    click.echo(f"\r{printable(name)}: sent {counted(counts.sent, 'span')}", nl=False, err=True)

            try:
                done = flush_spool(
                    each,
                    timeout=timeout,
                    max_age=settings.spool_age,
                    max_bytes=settings.spool_bytes,
                    linger=settings.spool_linger,
                    refused=refused,
                    progress=progress,
                )
            finally:
                if sys.stderr.isatty():
                    click.echo("\r\033[K", nl=False, err=True)
            is_left = is_left or not done.is_empty
            click.echo(printable(f"{each}: {_outcome(done.counts)}"))
            if not done.is_empty:
                left = counted(SpoolStatus.of(each).spans, "span is left", "spans are left")
                click.echo(printable(f"{each}: {left}: {done.error}"), err=True)
    return 1 if is_left else 0


def _folders(given: Path | None) -> list[Path]:
    if not is_supported():
        raise ConfigurationError("this system has no file locks as POSIX describes them, and so no spool")
    if given is not None:
        return [Path(given).absolute()]
    settings = Settings.load()
    if settings.spool is None:
        return spools_below(default_base())
    folder = spool_folder(settings)
    if folder is None:
        raise ConfigurationError(f"{settings.origin('spool')} is off: name a folder with --folder")
    return [folder] if folder.is_dir() else []


def _described(status: SpoolStatus) -> str:
    held = counted(status.spans, "span"), counted(status.bytes, "byte")
    rows = {
        "waiting": f"{', '.join(held)} in {counted(status.files, 'file')}",
        "since": status.oldest.isoformat(" ", "seconds") if status.oldest is not None else "",
        "damaged": f"{status.damaged_bytes} bytes" if status.damaged_bytes else "",
        "refused": f"{counted(status.refused, 'span')}, kept aside" if status.refused else "",
        "sender": "not running" if status.sender is None else f"process {status.sender}",
        "sends to": status.endpoint,
        "last error": status.error
        and f"{status.error} ({status.error_at.isoformat(' ', 'seconds') if status.error_at else 'unknown time'})",
    }
    lines = [f"  {name:<10}  {printable(value)}" for name, value in rows.items() if value]
    return "\n".join([printable(status.folder), *lines])


def _outcome(counts: Counts) -> str:
    numbers = {
        "spans sent": counts.sent,
        "spans refused, kept aside": counts.refused,
        "spans too old, deleted": counts.expired,
        "bytes damaged": counts.damaged,
    }
    return ", ".join(f"{number} {what}" for what, number in numbers.items() if number or what == "spans sent")
