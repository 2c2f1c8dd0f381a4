"""``otel-coverage playback convert``."""

from __future__ import annotations

from pathlib import Path

import click

from otel_coverage.cli.playback.conversion import (
    check_absent,
    conversion_options,
    folder_of,
    pairs,
    rules_of,
    show_conversion,
)
from otel_coverage.errors import ConfigurationError
from otel_coverage.playback.converting import convert as make
from otel_coverage.playback.converting import har


@click.command
@click.argument("file", metavar="HAR", type=click.Path(path_type=Path))
@click.option("--profile", metavar="SLUG", help="The profile's name. [the file's name]")
@click.option(
    "--host", "hosts", metavar="HOST", multiple=True, help="A host of the application, or HOST:PORT. [the first page's]"
)
@conversion_options
@click.option("--field", "fields", metavar="NAME=VALUE", multiple=True, help="Of a form that the HAR lacks.")
@click.option("--upload", "uploads", metavar="FIELD=FILE", multiple=True, help="A file that the HAR lacks.")
@click.option("--force", is_flag=True, help="Replace a recording that is there.")
def convert(
    file: Path,
    profile: str | None,
    hosts: tuple[str, ...],
    out: Path | None,
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
    slug = file.stem.lower() if profile is None else profile
    folder = folder_of(slug, out, "; --profile names it")
    rules = rules_of(hosts, keep, with_paths, without_paths, job_status_path)
    if not force:
        check_absent(folder, "--force replaces it")
    files = {name: Path(path) for name, path in pairs("--upload", uploads)}
    for name, path in files.items():
        if not path.is_file():
            raise ConfigurationError(f"--upload {name}={path}: no such file")
    typed = dict(pairs("--field", fields))
    show_conversion(make(har.source(file), folder, slug, rules, fresh=fresh, fields=typed, uploads=files))
