"""``otel-coverage gate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import click

from otel_coverage.cli import options
from otel_coverage.cli.audience import DEFAULT_HELP
from otel_coverage.cli.checks import CHECK_FORMATS, show_checks
from otel_coverage.cli.stores import open_store
from otel_coverage.errors import ConfigurationError
from otel_coverage.gates.artifacts import artifacts as check_artifacts
from otel_coverage.gates.evidence import Evidence
from otel_coverage.gates.losses import losses, read_allowed
from otel_coverage.gates.outcome import Check
from otel_coverage.gates.overhead import PerfBaseline
from otel_coverage.gates.overhead import overhead as check_overhead
from otel_coverage.gates.share import ALL, Unit, packages
from otel_coverage.gates.share import changed as check_changed
from otel_coverage.reporting.contents import parse_size
from otel_coverage.reporting.queries import select_revision
from otel_coverage.revision import UNKNOWN, current_revision
from otel_coverage.settings import Settings
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from otel_coverage.store.named_queries import named_query

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--base", metavar="REV", help="Judge the code that changed since the branch left REV, with --changed.")
@click.option("--changed", type=click.FloatRange(0, 100), metavar="N", help="At least N % of it is executed.")
@click.option(
    "--min",
    "minimums",
    multiple=True,
    metavar="[PACKAGE=]N",
    help="At least N % of a package, or of all, is executed; repeatable.",
)
@click.option(
    "--unit", type=click.Choice(["functions", "lines"]), default="functions", help="What is counted. [functions]"
)
@click.option(
    "--baseline", metavar="REV", help="Nothing is lost that was executed there: a revision, run or `previous`."
)
@click.option("--allow", type=_FILE, metavar="FILE", help="With --baseline: what may be lost, a name a line.")
@click.option(
    "--overhead", type=_FILE, metavar="FILE", help="A perf-baseline.json: tracing costs at most --max-overhead."
)
@click.option("--max-overhead", type=click.FloatRange(0), default=25.0, metavar="N", help="In percent. [25]")
@click.option(
    "--artifacts", type=click.Path(path_type=Path), metavar="FOLDER", help="A report: it has at most --max-size."
)
@click.option("--max-size", metavar="SIZE", help="Such as 250M.")
@click.option("--accept-incomplete", is_flag=True, help="Take what is known for all, where coverage is missing.")
@click.option("--store", "dsn", envvar="OTEL_COVERAGE_STORE", metavar="DSN", help="[OTEL_COVERAGE_STORE]")
@click.option("--revision", metavar="REV", help="Judge this one, whatever the source here is. [that of the source]")
@options.namespace
@options.source
@options.rcfile
@click.option("--format", "output", type=click.Choice(CHECK_FORMATS), help=DEFAULT_HELP)
def command(
    base: str | None,
    changed: float | None,
    minimums: tuple[str, ...],
    unit: str,
    baseline: str | None,
    allow: Path | None,
    overhead: Path | None,
    max_overhead: float,
    artifacts: Path | None,
    max_size: str | None,
    accept_incomplete: bool,
    dsn: str | None,
    revision: str | None,
    namespace: str,
    source: tuple[str, ...],
    rcfile: str | None,
    output: str | None,
) -> None:
    """Check coverage, losses, overhead or artifacts against limits; exit code 1 where one says no, 0 where all say yes.

    What is not known is neither executed nor not: where coverage is missing that may decide, where a run failed, or
    where the newest coverage is not of the source here, a check cannot decide, says why, and that is a no, too.

    --allow names a committed file: a line for each function that may be lost, module:qualname, or for an entry point,
    such as request GET /legacy/*, with * and ?; # begins a comment. Lines that allow nothing any more are reported.

    \b
    Examples:
      otel-coverage gate --base origin/main --changed 80 --store chdb:///var/lib/coverage --source shop
      otel-coverage gate --min 60 --min shop.orders=90 --unit lines
      otel-coverage gate --baseline previous --allow coverage-allowed.txt --format github
      otel-coverage gate --overhead perf-baseline.json --max-overhead 25
      otel-coverage gate --artifacts artifacts --max-size 250M
    """
    if (base is None) != (changed is None):
        raise click.UsageError("--base and --changed belong together: code that changed since REV, at least N %")
    if allow is not None and baseline is None:
        raise click.UsageError("--allow says what may be lost since --baseline, which is not given")
    if (artifacts is None) != (max_size is None):
        raise click.UsageError("--artifacts and --max-size belong together")
    of_coverage = changed is not None or minimums or baseline is not None
    if not of_coverage and overhead is None and artifacts is None:
        raise click.UsageError("nothing to check: give --changed, --min, --baseline, --overhead or --artifacts")
    limits = dict(map(_limit, minimums))
    allowed = read_allowed(allow) if allow is not None else []
    measured = PerfBaseline.read(overhead) if overhead is not None else None
    budget = parse_size(max_size) if max_size is not None else 0
    found: list[Check] = []
    if of_coverage:
        if not dsn:
            raise click.UsageError("a store is needed: --store, or OTEL_COVERAGE_STORE")
        tree = SourceTree.of(Settings.load(source=source, rcfile=rcfile))
        with open_store(dsn, read_only=True) as store:
            evidence = _evidence(store, tree, revision, namespace, accept_incomplete)
            counted = cast("Unit", unit)
            if base is not None and changed is not None:
                found.append(check_changed(evidence, base, changed, counted))
            found += packages(evidence, limits, counted)
            if baseline is not None:
                found.append(losses(evidence, baseline, allowed, counted))
    if measured is not None:
        found.append(check_overhead(measured, max_overhead, accept_incomplete=accept_incomplete))
    if artifacts is not None:
        found.append(check_artifacts(artifacts, budget))
    show_checks(found, output)
    if not all(check.passed for check in found):
        sys.exit(1)


def _evidence(
    store: Store, tree: SourceTree, revision: str | None, namespace: str, accept_incomplete: bool
) -> Evidence:
    here = current_revision([root.folder for root in tree.roots])
    if revision is not None or here == UNKNOWN:
        queries = select_revision(store, revision=revision, namespace=namespace, folder=Path(tree.roots[0].folder))
        return Evidence(queries, tree, "", accept_incomplete)
    known = [row["revision"] for row in named_query("revisions").ask(store, {"namespace": namespace}).records()]
    queries = select_revision(store, revision=here if here in known else None, namespace=namespace)
    return Evidence(queries, tree, here, accept_incomplete)


def _limit(text: str) -> tuple[str, float]:
    """The package and the percent of ``[PACKAGE=]N``."""
    package, _, number = text.rpartition("=")
    try:
        limit = float(number)
    except ValueError:
        limit = -1.0
    if not 0 <= limit <= 100:
        raise ConfigurationError(f"--min {text!r}: expected a number of percent, or a package and one, such as shop=80")
    return package or ALL, limit
