"""``otel-coverage report``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from otel_coverage.cli import options, progress
from otel_coverage.cli.audience import DEFAULT_HELP
from otel_coverage.cli.output import chosen, console
from otel_coverage.cli.page import checked_links, serve_page
from otel_coverage.cli.sources import report_sources, warn_of_other_state
from otel_coverage.cli.stores import open_store
from otel_coverage.errors import ConfigurationError, StoreError
from otel_coverage.gates.overhead import FILE as PERF_BASELINE
from otel_coverage.gates.overhead import PerfBaseline, sentence
from otel_coverage.printable import printable
from otel_coverage.reporting.artifacts import leaderboard
from otel_coverage.reporting.changes.baseline import PREVIOUS, find_baseline
from otel_coverage.reporting.contents import Contents, parse_size
from otel_coverage.reporting.files import json_text
from otel_coverage.reporting.history import LENGTH
from otel_coverage.reporting.profiles.names import EXPORTS
from otel_coverage.reporting.queries import RevisionQueries, doubts
from otel_coverage.reporting.report import Report, write_report
from otel_coverage.reporting.request import ReportRequest
from otel_coverage.reporting.schemas import schema
from otel_coverage.reporting.serving import DEFAULT_ENDPOINT
from otel_coverage.reporting.terminal import show
from otel_coverage.store.formats import JSON, TABLE

# parameters that say what is written
_OF_FILES = frozenset(
    {
        "out",
        "split",
        "only",
        "no_html",
        "formats",
        "max_size",
        "output",
        "symbols",
        "overhead",
        "fail_on_incomplete",
        "fail_under",
    }
)


@click.command()
@options.schema(schema, "Print the JSON Schema of matrix.json, or of any other JSON file of a report, and exit.")
@options.store
@click.option("--out", type=click.Path(path_type=Path), help="The folder to write to; this or --serve is required.")
@click.option(
    "--serve",
    is_flag=False,
    flag_value=DEFAULT_ENDPOINT,
    metavar="[HOST:PORT]",
    help="Write nothing: serve index.html on this machine, read anew as spans arrive, and the other files by their "
    f"names (/gaps.json, /profiles/checkout.json). [{DEFAULT_ENDPOINT}]",
)
@click.option("--open", "opens", is_flag=True, help="With --serve: open the page in the browser.")
@options.source
@options.rcfile
@click.option(
    "--symbols",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the source is not on this machine: its catalog, as `catalog build --out FILE` writes it.",
)
@click.option(
    "--source-root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The checkout: data files name paths below it. [the working directory, if the source is below it]",
)
@click.option(
    "--revision", metavar="REV", help="A revision; a short SHA, HEAD or a tag will do. [the newest that has coverage]"
)
@options.namespace
@options.services("Count")
@click.option(
    "--expect",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Playback recordings, or a folder of them, whose profiles should have been played; may be repeated.",
)
@options.runs("Count")
@click.option(
    "--since", default="", metavar="TIME", help="Count only runs that began since: 24h, 7d, 2026-11-25T22:00Z."
)
@options.profiles("Count")
@click.option(
    "--baseline",
    metavar="REV|RUN|previous",
    help="Compare with this revision, or a run or night-*; previous: the revision that was traced before.",
)
@click.option(
    "--overhead",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"What tracing costs, as `otel-coverage overhead` writes it; a line of summary.md. [{PERF_BASELINE}, if any]",
)
@click.option(
    "--history",
    "history_length",
    type=click.IntRange(min=1),
    default=LENGTH,
    show_default=True,
    metavar="N",
    help="How many revisions history.json has at most.",
)
@click.option(
    "--trace-url",
    envvar="OTEL_COVERAGE_TRACE_URL",
    default="",
    metavar="URL",
    help="Where index.html links traces to, with {trace}: https://jaeger/trace/{trace}. [OTEL_COVERAGE_TRACE_URL]",
)
@click.option(
    "--source-url",
    envvar="OTEL_COVERAGE_SOURCE_URL",
    default="",
    metavar="URL",
    help="Where index.html links lines to, with {file}, {line}, {revision}. [OTEL_COVERAGE_SOURCE_URL]",
)
@click.option(
    "--split", is_flag=True, help="Write index.html's script and style beside it, for hosts that forbid inline ones."
)
@click.option(
    "--only",
    multiple=True,
    metavar="FILE",
    help="Write only this file: summary.md, checkout/html, '*.coverage'; may be repeated.",
)
@click.option("--no-html", is_flag=True, help="Write no pages of coverage.py.")
@click.option(
    "--also",
    "formats",
    multiple=True,
    type=click.Choice(list(EXPORTS)),
    help="Write this, too, by coverage.py, for each profile and for all; may be repeated.",
)
@click.option(
    "--max-size",
    metavar="SIZE",
    default="250M",
    show_default=True,
    help="Leave out, and list, what is more than that: pages of coverage.py first, summary.md and index.html never.",
)
@click.option("--format", "output", type=click.Choice([JSON, TABLE]), help=f"Of what is printed. {DEFAULT_HELP}")
@click.option(
    "--fail-on-incomplete", is_flag=True, help="Exit with 1 if coverage is missing, or a run that counts failed."
)
@click.option(
    "--fail-under",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Exit with 1 if all profiles together execute less of the functions.",
)
@click.pass_context
def command(
    context: click.Context,
    dsn: str,
    out: Path | None,
    serve: str | None,
    opens: bool,
    source: tuple[str, ...],
    rcfile: str | None,
    symbols: Path | None,
    source_root: Path | None,
    revision: str | None,
    namespace: str,
    services: tuple[str, ...],
    expect: tuple[Path, ...],
    runs: tuple[str, ...],
    since: str,
    profiles: tuple[str, ...],
    baseline: str | None,
    overhead: Path | None,
    history_length: int,
    trace_url: str,
    source_url: str,
    split: bool,
    only: tuple[str, ...],
    no_html: bool,
    formats: tuple[str, ...],
    max_size: str,
    output: str | None,
    fail_on_incomplete: bool,
    fail_under: float | None,
) -> None:
    """Write the matrix, the reverse index, the gaps, and each profile's lines, to files; or serve them.

    All runs of the revision count, unless --run or --since select some. The files are written before
    --fail-on-incomplete and --fail-under are judged.

    \b
    Examples:
      otel-coverage report --store chdb:///var/lib/coverage --out artifacts --source shop
      otel-coverage report --store clickhouse://ci@host:8123/otel --out artifacts --service web
      otel-coverage report --out artifacts --expect profiles/
      otel-coverage report --out artifacts --run night-41 --fail-on-incomplete --fail-under 60
      otel-coverage report --out artifacts --symbols symbols.json
      otel-coverage report --out artifacts --since 24h --profile 'checkout-*'
      otel-coverage report --out artifacts --only summary.md --only index.html
      otel-coverage report --out artifacts --also xml --max-size 100M
      otel-coverage report --out artifacts --source shop --source-root /builds/shop
      otel-coverage report --out artifacts --baseline previous
      otel-coverage report --out artifacts --run night-41 --baseline night-40
      otel-coverage report --out artifacts --trace-url 'https://jaeger.example/trace/{trace}'
      otel-coverage report --serve --open --profile 'checkout-*'
      otel-coverage report --serve 127.0.0.1:9000 --baseline previous
      otel-coverage report --schema reverse-index.json
    """
    request = ReportRequest(
        revision=revision,
        namespace=namespace,
        services=services,
        expected=tuple(profile for path in expect for profile in _profiles_at(path)),
        runs=runs,
        since=since,
        profiles=profiles,
        baseline=baseline,
        history_length=history_length,
        links=checked_links(trace_url, source_url),
        folder=source_root or Path(),
    )
    if serve is not None:
        _check_served(context)
        serve_page(dsn, serve, request, opens=opens)
        return
    if out is None:
        raise click.UsageError("--out names the folder to write to; or --serve serves the report")
    if opens:
        raise click.UsageError("--open opens what --serve serves: add --serve")
    contents = Contents(html=not no_html, formats=formats, only=only, max_size=parse_size(max_size))
    cost = _cost(overhead)
    sources = report_sources(source, rcfile, symbols, source_root)
    if sources.roots:
        request = replace(request, folder=Path(sources.roots[0]))
    with open_store(dsn, read_only=True) as store:
        queries = request.select(store)
        if revision is None:
            click.echo(f"newest revision with coverage: {printable(queries.revision) or '(none was set)'}", err=True)
        if sources.files:
            warn_of_other_state(sources, queries, chosen=revision is not None)
        before = None if baseline is None else _baseline(queries, baseline, request.folder)
        with progress.status("report") as say:
            report = write_report(
                queries,
                sources,
                out,
                links=request.links,
                split=split,
                contents=contents,
                baseline=before,
                history_length=history_length,
                overhead=cost,
                progress=lambda text: say(f"report: {text}"),
            )
    if chosen(output) == TABLE:
        show(report, console())
    else:
        click.echo(json_text(_record(report)), nl=False)
    failures = list(_failures(report.queries, fail_on_incomplete, fail_under))
    for failure in failures:
        click.echo(f"otel-coverage: {failure}", err=True)
    if failures:
        sys.exit(1)


def _check_served(context: click.Context) -> None:
    """Refuse options about files together with --serve.

    Raises:
        UsageError: one was given.
    """
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in _OF_FILES
        and context.get_parameter_source(parameter.name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{given[0]} is about files that are written, and --serve writes none; leave one out")


def _baseline(queries: RevisionQueries, name: str, folder: Path) -> RevisionQueries | None:
    """What the report is compared with; None, and a line on stderr, where there is nothing before it yet."""
    try:
        found = find_baseline(queries, name, folder)
    except StoreError as error:
        if name != PREVIOUS:
            raise
        click.echo(f"--baseline {name}: {printable(str(error))}: the report compares with nothing", err=True)
        return None
    if found is None:
        click.echo(f"--baseline {name}: no earlier revision has coverage: the report compares with nothing", err=True)
    elif name == PREVIOUS:
        click.echo(f"compared with revision {printable(found.revision) or '(none was set)'}", err=True)
    return found


def _cost(file: Path | None) -> str:
    """What tracing costs, a sentence; empty where that was not measured."""
    if file is None:
        file = Path(PERF_BASELINE)
        if not file.is_file():
            return ""
    return sentence(PerfBaseline.read(file))


def _profiles_at(path: Path) -> tuple[str, ...]:
    try:
        from otel_coverage.playback.folders import profiles_at  # reporting alone needs no playback client
    except ImportError as error:
        raise ConfigurationError("--expect reads playback recordings: pip install 'otel-coverage[playback]'") from error
    return profiles_at(path)


def _failures(queries: RevisionQueries, on_incomplete: bool, under: float | None) -> Iterator[str]:
    """What the report does not meet, a sentence each."""
    if on_incomplete and not queries.complete:
        doubtful = [
            f"{row['profile']} ({', '.join(row['incomplete_reasons']) or 'failed'})"
            for row in queries.profiles
            if doubts(row)
        ]
        named = ", ".join(doubtful) or "; ".join(queries.problems)
        yield printable(f"--fail-on-incomplete: coverage is missing, or a run that counts failed: {named}")
    if under is None:
        return
    covered, total = queries.totals["functions_covered"], queries.totals["functions_total"]
    if not queries.has_catalog:
        yield (
            f"--fail-under {under:g}: the share is not known, since no catalog was pushed for revision "
            f"{printable(queries.revision)}; run `otel-coverage catalog push` at that revision"
        )
    elif 100 * covered < under * total:
        yield f"--fail-under {under:g}: {covered} of {total} functions ({100 * covered / total:.2f} %) are executed"


def _record(report: Report) -> dict[str, object]:
    return {
        "out": str(report.out),
        "revision": report.queries.revision,
        "selection": report.queries.selection.document,
        "complete": report.queries.complete,
        "notes": list(report.notes),
        "files": list(report.files),
        "left_out": dict(report.left_out),
        "baseline": None if report.comparison is None else report.comparison.base.revision,
        "changes": None if report.comparison is None else report.comparison.counts,
        "profiles": leaderboard(report.queries),
    }
