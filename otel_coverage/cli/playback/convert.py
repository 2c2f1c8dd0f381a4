"""``otel-coverage playback convert``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from otel_coverage.cli.audience import read_by_people
from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import job_status
from otel_coverage.playback.converting import Conversion, Rules
from otel_coverage.playback.converting import convert as make
from otel_coverage.playback.converting.rules import NAMES, RULES
from otel_coverage.printable import printable
from otel_coverage.slug import SLUG_RULE, is_slug, shown

_ALWAYS = {
    "hosts": "requests to other hosts",
    "polls": "polls of jobs, which playback waits for by itself",
    "paths": "paths of --skip-path",
    "cached": "answers from the browser's cache",
    "streams": "WebSockets and event streams, which are not replayed",
    "unanswered": "requests without an answer",
}


@click.command
@click.argument("har", metavar="HAR", type=click.Path(path_type=Path))
@click.option("--profile", metavar="SLUG", help="The profile's name. [the file's name]")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Where to. [profiles/SLUG]")
@click.option(
    "--host", "hosts", metavar="HOST", multiple=True, help="A host of the application, or HOST:PORT. [the first page's]"
)
@click.option(
    "--fresh",
    metavar="VALUE",
    multiple=True,
    help="A value that has to be new each time; it becomes ${run}.",
)
@click.option(
    "--keep", metavar="RULE", multiple=True, type=click.Choice(NAMES), help=f"Leave out less: {', '.join(NAMES)}."
)
@click.option("--keep-path", "with_paths", metavar="GLOB", multiple=True, help="Keep these paths, whatever rules say.")
@click.option("--skip-path", "without_paths", metavar="GLOB", multiple=True, help="Leave these paths out, too.")
@click.option(
    "--job-status",
    "job_status_path",
    metavar="PATH",
    default=job_status.PATH,
    show_default=True,
    help="Path that returns a job's status: polls of it are left out; empty for none.",
)
@click.option("--field", "fields", metavar="NAME=VALUE", multiple=True, help="Of a form that the HAR lacks.")
@click.option("--upload", "uploads", metavar="FIELD=FILE", multiple=True, help="A file that the HAR lacks.")
@click.option("--force", is_flag=True, help="Replace a recording that is there.")
def convert(
    har: Path,
    profile: str | None,
    out: Path | None,
    hosts: tuple[str, ...],
    fresh: tuple[str, ...],
    keep: tuple[str, ...],
    with_paths: tuple[str, ...],
    without_paths: tuple[str, ...],
    job_status_path: str,
    fields: tuple[str, ...],
    uploads: tuple[str, ...],
    force: bool,
) -> None:
    """Make a playback recording of a HAR file, which a browser's developer tools or Playwright saved.

    It is written in the format of `recording.jsonl`, where you can read and mend it. Style sheets, scripts, images,
    fonts, analytics, preflights, answers 304, polls of jobs and requests to other hosts are left out. CSRF tokens are
    those of the session that is played; cookies, too. Passwords, tokens and keys are never written: variables
    ${env:PLAYBACK_…} of the environment replace them. A value that an earlier answer contained is captured from it.

    Browsers leave forms with files out of HAR files: their fields are then taken from the page, --field says what was
    typed into them, and --upload which file was chosen.

    \b
    Exit codes:
      0  converted
      2  wrong usage, or not a HAR file; nothing was written

    \b
    Examples:
      otel-coverage playback convert checkout.har
      otel-coverage playback convert shop.har --profile register --fresh ada@example.org
      otel-coverage playback convert shop.har --profile import --upload stock=stock.csv --field "note=New stock"
      otel-coverage playback convert shop.har --host shop.example --host api.shop.example --keep static
    """
    slug = har.stem.lower() if profile is None else profile
    if not is_slug(slug):
        raise ConfigurationError(f"the profile {shown(slug)} is not valid; use {SLUG_RULE}; --profile names it")
    if job_status_path and "{job_id}" not in job_status_path:
        raise ConfigurationError(f"--job-status {job_status_path!r} must contain {{job_id}}")
    folder = out or Path("profiles", slug)
    if (folder / "recording.jsonl").exists() and not force:
        raise ConfigurationError(f"{folder / 'recording.jsonl'}: exists; --force replaces it, --out names another")
    files = {name: Path(path) for name, path in _pairs("--upload", uploads)}
    for name, path in files.items():
        if not path.is_file():
            raise ConfigurationError(f"--upload {name}={path}: no such file")
    rules = Rules(hosts, job_status_path, frozenset(keep), with_paths, without_paths)
    made = make(har, folder, slug, rules, fresh=fresh, fields=dict(_pairs("--field", fields)), uploads=files)
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


def _pairs(option: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    for name, equals, value in pairs:
        if not (name and equals):
            raise ConfigurationError(f"{option} {name + equals + value!r} must be NAME=VALUE")
    return [(name, value) for name, _, value in pairs]


def _print(made: Conversion) -> None:
    follow = f", and {made.redirects} that redirects lead to" if made.redirects else ""
    click.echo(f"{made.file}: {made.requests} requests of {', '.join(made.hosts)}{follow}")
    for rule, number in made.left_out.items():
        meaning = RULES[rule][0] if rule in RULES else _ALWAYS[rule]
        click.echo(f"  left out  {number:>5}  {meaning}" + (f" (--keep {rule})" if rule in NAMES else ""))
    for title, names in (("captured", made.captures), ("needs", made.variables)):
        for name in names:
            click.echo(f"  {title:<8}  {name}")
    for note in made.notes:
        click.echo(f"  note      {printable(note)}")
    click.echo(f"Read it, then: otel-coverage playback run {made.file.parent} --base-url URL")
