"""What `playback convert` and `playback record` have in common: the options, and what they say of the result."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from otel_coverage.cli.audience import read_by_people
from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import job_status
from otel_coverage.playback.converting import Conversion, Rules
from otel_coverage.playback.converting.rules import NAMES, RULES
from otel_coverage.printable import counted, printable
from otel_coverage.slug import check_slug

_OPTIONS = (
    click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Where to. [profiles/SLUG]"),
    click.option(
        "--fresh", metavar="VALUE", multiple=True, help="A value that has to be new each time; it becomes ${run}."
    ),
    click.option(
        "--keep", metavar="RULE", multiple=True, type=click.Choice(NAMES), help=f"Leave out less: {', '.join(NAMES)}."
    ),
    click.option(
        "--keep-path", "with_paths", metavar="GLOB", multiple=True, help="Keep these paths, whatever rules say."
    ),
    click.option("--skip-path", "without_paths", metavar="GLOB", multiple=True, help="Leave these paths out, too."),
    click.option(
        "--job-status",
        "job_status_path",
        metavar="PATH",
        default=job_status.PATH,
        show_default=True,
        help="Path that returns a job's status: polls of it are left out; empty for none.",
    ),
)

_ALWAYS = {
    "hosts": "requests to other hosts",
    "polls": "polls of jobs, which playback waits for by itself",
    "paths": "paths of --skip-path",
    "cached": "answers from the browser's cache",
    "streams": "WebSockets and event streams, which are not replayed",
    "unanswered": "requests without an answer",
}


def conversion_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what is left out, what is new each time, and where the recording goes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def rules_of(
    hosts: tuple[str, ...],
    keep: tuple[str, ...],
    with_paths: tuple[str, ...],
    without_paths: tuple[str, ...],
    job_status_path: str,
) -> Rules:
    """The rules that the options name.

    Raises:
        ConfigurationError: the path of the job status resource has no ``{job_id}``.
    """
    return Rules(hosts, job_status.check_path(job_status_path), frozenset(keep), with_paths, without_paths)


def folder_of(slug: str, out: Path | None, hint: str = "") -> Path:
    """Where the recording of a profile goes.

    Raises:
        ConfigurationError: the slug is not valid.
    """
    return out or Path("profiles", check_slug("the profile", slug, hint))


def check_absent(folder: Path, advice: str) -> None:
    """Check that there is no recording that would be replaced.

    Raises:
        ConfigurationError: there is one.
    """
    file = folder / "recording.jsonl"
    if file.exists():
        raise ConfigurationError(f"{file}: exists; {advice}, --out names another")


def pairs(option: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    """Names and values of ``NAME=VALUE``.

    Raises:
        ConfigurationError: one has no name, or no ``=``.
    """
    found = [text.partition("=") for text in texts]
    for name, equals, value in found:
        if not (name and equals):
            raise ConfigurationError(f"{option} {name + equals + value!r} must be NAME=VALUE")
    return [(name, value) for name, _, value in found]


def show_conversion(made: Conversion) -> None:
    """Print what was made: for people, or as JSON."""
    if read_by_people():
        _print(made)
    else:
        click.echo(
            json.dumps(
                {
                    "profile": made.profile,
                    "file": str(made.file),
                    "requests": made.requests,
                    "redirects": made.redirects,
                    "hosts": list(made.hosts),
                    "left_out": made.left_out,
                    "variables": made.variables,
                    "captures": made.captures,
                    "notes": made.notes,
                }
            )
        )


def _print(made: Conversion) -> None:
    follow = f", and {made.redirects} that redirects lead to" if made.redirects else ""
    click.echo(f"{made.file}: {counted(made.requests, 'request')} of {', '.join(made.hosts)}{follow}")
    for rule, number in made.left_out.items():
        meaning = RULES[rule][0] if rule in RULES else _ALWAYS[rule]
        click.echo(f"  left out  {number:>5}  {meaning}" + (f" (--keep {rule})" if rule in NAMES else ""))
    for title, names in (("captured", made.captures), ("needs", made.variables)):
        for name in names:
            click.echo(f"  {title:<8}  {name}")
    for note in made.notes:
        click.echo(f"  note      {printable(note)}")
    click.echo(f"Read it, then: otel-coverage playback run {made.file.parent} --base-url URL")
