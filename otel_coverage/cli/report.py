"""``otel-coverage report``."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import click
from rich.console import Console

from otel_coverage.reporting.artifacts import leaderboard
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import Report, write_report
from otel_coverage.reporting.terminal import show
from otel_coverage.revision import current_namespace, revision_of
from otel_coverage.settings import Settings
from otel_coverage.source import SourceTree
from otel_coverage.store import open_store


@click.command()
@click.option(
    "--store", "dsn", envvar="OTEL_COVERAGE_STORE", required=True, metavar="DSN", help="[OTEL_COVERAGE_STORE]"
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to write to.")
@click.option(
    "--source",
    multiple=True,
    metavar="PACKAGE|FOLDER",
    help="The application's packages or folders, as traced. [OTEL_COVERAGE_SOURCE; else the working directory]",
)
@click.option("--rcfile", metavar="FILE", help="A coverage.py configuration. [OTEL_COVERAGE_RCFILE]")
@click.option("--revision", metavar="REV", help="[the newest that has coverage]")
@click.option("--namespace", metavar="NAME", help="[OTEL_RESOURCE_ATTRIBUTES' service.namespace, else empty]")
@click.option(
    "--service", multiple=True, metavar="NAME", help="Count only the coverage of this service; may be repeated."
)
def command(
    dsn: str,
    out: Path,
    source: tuple[str, ...],
    rcfile: str | None,
    revision: str | None,
    namespace: str | None,
    service: tuple[str, ...],
) -> None:
    """Write the matrix, the reverse index, the gaps and the rest to files.

    \b
    Examples:
      otel-coverage report --store chdb:///var/lib/coverage --out artifacts --source shop
      otel-coverage report --store clickhouse://ci@host:8123/otel --out artifacts --service web
    """
    settings = Settings.load(source=source, rcfile=rcfile)
    tree = SourceTree.from_rcfile(settings.source, settings.rcfile)
    with open_store(dsn, read_only=True) as store:
        queries = select_revision(
            store,
            revision=revision,
            namespace=current_namespace() if namespace is None else namespace,
            services=service,
        )
        if revision is None:
            click.echo(f"newest revision with coverage: {queries.revision or '(none was set)'}", err=True)
        _compare_with(tree, queries.revision)
        report = write_report(queries, tree, out)
    if sys.stdout.isatty():
        show(report, Console())
    else:
        click.echo(json.dumps(_record(report), ensure_ascii=False))


def _compare_with(tree: SourceTree, revision: str) -> None:
    """Warn where the source tree is at another commit than the one that was traced."""
    here = revision_of([root.folder for root in tree.roots])
    if here is not None and here != revision and re.match(r"[0-9a-f]{40}(\+|$)", revision):
        click.echo(f"the source tree is at {here}: line numbers in the data files may be wrong", err=True)


def _record(report: Report) -> dict[str, object]:
    return {
        "out": str(report.out),
        "revision": report.queries.revision,
        "complete": report.queries.complete,
        "notes": list(report.notes),
        "files": list(report.files),
        "profiles": leaderboard(report.queries),
    }
