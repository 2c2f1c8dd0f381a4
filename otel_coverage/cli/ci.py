"""``otel-coverage ci``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from otel_coverage.ci import files
from otel_coverage.ci.settings import CiSettings
from otel_coverage.ci.workflows import secrets, workflows
from otel_coverage.cli.group import CommandGroup
from otel_coverage.errors import ConfigurationError
from otel_coverage.printable import listed


@click.group(cls=CommandGroup)
def command() -> None:
    """Write the workflows of a CI system that play all profiles every night, and those that a change concerns.

    \b
    Examples:
      otel-coverage ci github
      otel-coverage ci github --check
    """


@command.command()
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=Path("pyproject.toml"),
    show_default=True,
    metavar="FILE",
    help="Has the settings, in [tool.otel_coverage.ci]; a file of another name may have nothing else.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".github/workflows"),
    show_default=True,
    metavar="FOLDER",
    help="Where the workflows are written.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where something would be.")
@click.option("--force", is_flag=True, help="Replace what somebody else wrote, outside of the regions to keep, too.")
def github(config: Path, out: Path, check: bool, force: bool) -> None:
    """Write workflows for GitHub Actions: a nightly one, and one for pull requests.

    At night each profile is played in a job of its own, which keeps a store as its artifact; another job puts the
    stores together with that of the last night, without a server, and keeps a report with index.html, the matrix, the
    reverse index and the gaps, compared with the last night. It is red where a profile is absent, the night is
    incomplete, or a gate says no.

    For a pull request, the profiles that its change can concern are played, and a comment says what they execute of it;
    where it comes from a fork, the job's summary does.

    Settings are in pyproject.toml:

    \b
      [tool.otel_coverage.ci]
      source = ["shop"]
      install = ["pip install -e .", "pip install 'otel-coverage[embedded,playback,report] @ git+https://…'"]
      services.redis = {}
      gates = ["--min 60"]
      changed = 80
      [tool.otel_coverage.ci.processes]
      web = "gunicorn --bind 127.0.0.1:$PORT shop:app"
      worker = "rq worker --url $REDIS_URL"

    `layout = "profiles"` writes a workflow for each profile, which begin one after the other, and one that puts their
    night together. docs/nightly.md has all settings. Call it again after a change of the settings or the profiles:
    lines between `# keep: begin` and `# keep: end` stay as you wrote them.

    Variables of playback recordings, such as ${env:PLAYBACK_PASSWORD}, are secrets of the repository: the command names
    them. A pull request from a fork gets none, so it cannot play these profiles.

    \b
    Examples:
      otel-coverage ci github
      otel-coverage ci github --check                     in CI: is what is committed up to date?
      otel-coverage ci github --config ci/coverage.toml
    """
    settings = CiSettings.load(config)
    changes = files.plan(out, workflows(settings, Path()), settings.origin, force=force)
    if not check:
        files.apply(changes)
    for change in changes:
        word = f"would be {change.state}" if check and change.state != "unchanged" else change.state
        click.echo(f"{change.path}: {word}")
    for line in _secrets(secrets(settings, Path())):
        click.echo(f"otel-coverage: {line}", err=True)
    if check and any(change.state != "unchanged" for change in changes):
        raise OutdatedError(f"{out}: not what the settings say; run `otel-coverage ci github`")


def _secrets(needed: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Which secrets have to be set, a line for each."""
    for name in sorted({name for names in needed.values() for name in names}):
        profiles = listed([slug for slug, names in needed.items() if name in names])
        yield f"{profiles} can be played where the repository has the secret {name}: gh secret set {name}"


class OutdatedError(ConfigurationError):
    """What is committed is not what the settings say."""

    exit_code = 1
