"""``otel-coverage impacted``."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import click

from otel_coverage.cli import options
from otel_coverage.cli.audience import DEFAULT_HELP
from otel_coverage.cli.output import chosen, terminal_width
from otel_coverage.cli.stores import open_store
from otel_coverage.errors import ConfigurationError
from otel_coverage.impact.document import document, matrix
from otel_coverage.impact.impact import find
from otel_coverage.impact.settings import ImpactSettings
from otel_coverage.impact.text import as_comment, tables
from otel_coverage.reporting.files import json_text
from otel_coverage.settings import Settings
from otel_coverage.source import SourceTree
from otel_coverage.store.formats import JSON, TABLE

MATRIX, MARKDOWN, NAMES = "matrix", "markdown", "names"


@click.command()
@click.option("--base", required=True, metavar="REV", help="What the change is compared with: a branch, tag or commit.")
@options.store
@click.option(
    "--revision", metavar="REV", help="Use the coverage of this revision. [the nearest to the base that has some]"
)
@options.namespace
@options.source
@options.rcfile
@click.option("--profiles", metavar="FOLDER", help="Of playback recordings. [that of the settings, else profiles]")
@click.option(
    "--page-url",
    default="",
    metavar="URL",
    help="Where a report's index.html is published: --format markdown links its views of the profiles.",
)
@click.option("--all", "everything", is_flag=True, help="Show all rows and reasons in tables.")
@click.option("--format", "output", type=click.Choice([JSON, MARKDOWN, MATRIX, NAMES, TABLE]), help=DEFAULT_HELP)
def command(
    base: str,
    dsn: str,
    revision: str | None,
    namespace: str,
    source: tuple[str, ...],
    rcfile: str | None,
    profiles: str | None,
    page_url: str,
    everything: bool,
    output: str | None,
) -> None:
    """Name the profiles to replay for a change, and why.

    The change is all that differs between the work tree, with what is not committed, and the commit where its branch
    left REV. A profile is selected where it executes a function that changed, and wherever what is known does not rule
    out that it notices the change: code that runs at import or at start, dependencies, files of which the settings do
    not say who reads them, coverage that is incomplete or older than the base. Differences that the interpreter does
    not see, such as comments, select nothing.

    Changed functions that no profile reaches, and the routes, jobs and commands that lead to what changed, are named.
    Files that are not Python are declared in pyproject.toml, by globs, with "all", "none" or a list of profiles:

    \b
      [tool.otel_coverage.impacted.files]
      "shop/templates/**" = "all"
      "queries/orders*.sql" = ["checkout", "refund*"]
      "docs/" = "none"

    `--format matrix` is the value of a CI job's matrix, for fromJSON; where it has no profile, skip that job. `--format
    names` has a profile a line.

    \b
    Examples:
      otel-coverage impacted --base origin/main --store chdb:///var/lib/coverage --source shop
      otel-coverage impacted --base v1.4 --format json | jq '.selected[].profile'
      echo "matrix=$(otel-coverage impacted --base origin/main --format matrix)" >> "$GITHUB_OUTPUT"
    """
    if page_url and not re.fullmatch(r"https?://[^\s\"'<>()]+", page_url):
        raise ConfigurationError(
            f"--page-url {page_url!r}: expected an address such as https://shop.example/index.html"
        )
    tree = SourceTree.of(Settings.load(source=source, rcfile=rcfile))
    settings = ImpactSettings.load(Path())
    if profiles is not None:
        settings = replace(settings, profiles=profiles)
    with open_store(dsn, read_only=True) as store:
        found = find(store, base, tree, settings, revision=revision, namespace=namespace)
    shape = chosen(output)
    if shape == TABLE:
        shown = tables(found, terminal_width(), everything=everything)
    elif shape == MATRIX:
        shown = matrix(found)
    elif shape == NAMES:
        shown = "".join(f"{name}\n" for name in found.impact.selected)
    else:
        shown = as_comment(found, page_url) if shape == MARKDOWN else json_text(document(found))
    click.echo(shown, nl=False)
