"""What `playback run` and `overhead` have in common: the options, and what is loaded before the first request."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import click

from otel_coverage.playback import Profile, job_status, load_all
from otel_coverage.playback.player import REQUEST_TIMEOUT
from otel_coverage.playback.runner import check_variables
from otel_coverage.printable import printable

recordings = click.argument(
    "recordings", metavar="RECORDING...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
host = click.option(
    "--host", metavar="HOST", help="Send this Host header, as for an application that answers to its public name alone."
)
timeout = click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    default=REQUEST_TIMEOUT,
    show_default=True,
    help="How long the application may be silent.",
)
job_status_path = click.option(
    "--job-status",
    "job_status_path",
    metavar="PATH",
    default=job_status.PATH,
    show_default=True,
    help="Path that returns a job's status as JSON; empty to wait for no job.",
)


def loaded(paths: Sequence[Path], job_status_path: str) -> list[Profile]:
    """The profiles to play; what is skipped of them is said on stderr.

    Args:
        paths: of playback recordings, or of folders that have one.
        job_status_path: of the application's job status resource, whose polls are not played.

    Raises:
        ConfigurationError: one cannot be played, or an environment variable is not set that one needs.
    """
    profiles, empty = load_all(paths, job_status=job_status_path)
    for folder in empty:
        click.echo(f"otel-coverage: {folder}: an empty folder; skipped", err=True)
    for profile in profiles:
        for skipped in profile.skipped:
            click.echo(f"otel-coverage: {printable(f'{profile.origin}: {skipped}')}; skipped", err=True)
    check_variables(profiles, os.environ)
    return profiles


def silence_exporters() -> None:
    """Keep the warnings of exporters off stderr, for a command that says itself what was not delivered."""
    for name in ("opentelemetry", "otel_coverage"):
        logging.getLogger(name).addHandler(logging.NullHandler())
