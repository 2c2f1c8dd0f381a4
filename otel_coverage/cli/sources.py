"""The source tree that a report is about."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import click

from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.profiles.sources import Sources
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.reporting.symbols_file import files_of
from otel_coverage.revision import revision_of
from otel_coverage.settings import Settings
from otel_coverage.source import SourceTree
from otel_coverage.store.named_queries import named_query


def report_sources(source: tuple[str, ...], rcfile: str | None, symbols: Path | None, root: Path | None) -> Sources:
    """The files that the options of ``report`` name.

    Args:
        source: packages or folders; empty for those of the settings.
        rcfile: a coverage.py configuration.
        symbols: a catalog that stands for the source, where that is elsewhere.
        root: the checkout, which data files name paths below.

    Raises:
        ConfigurationError: a file or package does not exist; the message says what to do without the source.
    """
    settings = Settings.load(source=source, rcfile=rcfile)
    if symbols is not None:
        return Sources.of_paths(files_of(symbols), root, settings.rcfile)
    try:
        if root is not None:
            below = tuple(str(root / each) if (root / each).exists() else each for each in settings.source or ())
            settings = replace(settings, source=below)
        tree = SourceTree.of(settings, None if root is None else str(root))
        return Sources.of_tree(tree, root)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error}; if the source is not on this machine, run `otel-coverage catalog build --out symbols.json` "
            "where it is, and add --symbols symbols.json here"
        ) from error


def warn_of_other_state(sources: Sources, queries: RevisionQueries, *, chosen: bool) -> None:
    """Warn where the source tree is at another commit than the one that was traced."""
    here, revision = revision_of(sources.roots), queries.revision
    if here is not None and here != revision and re.match(r"[0-9a-f]{40}(\+|$)", revision):
        known = named_query("revisions").ask(queries.store, {"namespace": queries.namespace}).records()
        unknown = not chosen and here not in {row["revision"] for row in known}
        of = ", of which no run has coverage: this report is about an older state of it, and" if unknown else ":"
        click.echo(f"the source tree is at {here}{of} files may differ from those that ran", err=True)
