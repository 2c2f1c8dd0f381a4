"""A report: the artifacts of one revision in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from otel_coverage.reporting.artifacts import ARTIFACTS
from otel_coverage.reporting.changes.comparison import Comparison, compare
from otel_coverage.reporting.changes.document import write_comparison
from otel_coverage.reporting.contents import Contents, LeftOut, units
from otel_coverage.reporting.files import COMPARISON, published, write_text
from otel_coverage.reporting.history import LENGTH, Point, history, write_history
from otel_coverage.reporting.matrix import CSV, least_csv_size
from otel_coverage.reporting.page.bundle import bundle
from otel_coverage.reporting.page.page import NO_LINKS, PAGE, SCRIPT, STYLE, Links, write_page
from otel_coverage.reporting.profiles.names import folder_name
from otel_coverage.reporting.profiles.sources import Sources
from otel_coverage.reporting.profiles.writer import Progress, pages, write_exports, write_profiles
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.reporting.summary import notes, summary
from otel_coverage.source import SourceTree

_EVERYTHING = Contents()
PAGES = (PAGE, SCRIPT, STYLE)


@dataclass(frozen=True, slots=True)
class Report:
    """What was written.

    Attributes:
        queries: what the files were made from; the store may be closed by now.
        out: the folder that they are in.
        files: their names, sorted; a folder of coverage.py's pages is one, with a slash at its end.
        notes: sentences about what the report could not do.
        comparison: what changed since the baseline; None without one.
        left_out: what would have been too large, and how many bytes it has; None where it was not even made.
    """

    queries: RevisionQueries
    out: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]
    comparison: Comparison | None
    left_out: Mapping[str, int | None]


def write_report(
    queries: RevisionQueries,
    tree: SourceTree | Mapping[str, str] | Sources,
    out: Path,
    *,
    links: Links = NO_LINKS,
    split: bool = False,
    contents: Contents = _EVERYTHING,
    baseline: RevisionQueries | None = None,
    history_length: int = LENGTH,
    overhead: str = "",
    progress: Progress = lambda text: None,
) -> Report:
    """Write the files of a report; ``out`` has all of them afterwards, or is unchanged.

    Args:
        queries: what to read, of an open store.
        tree: the source that was traced; the data files name its files. Or what they call each of them, by its path as
            in the store.
        out: a folder; created where it does not exist.
        links: where the page leads to.
        split: write the page's script and style as files of their own, for hosts that forbid inline ones.
        contents: which files are wanted.
        baseline: what to compare with.
        history_length: how many revisions ``history.json`` has at most.
        overhead: what ``summary.md`` says of the cost of tracing.
        progress: called with the name of what is under way.

    Raises:
        ConfigurationError: the folder cannot be written, the tree has no files, or the report has none of a name that
            is wanted.
        StoreError: the engine refuses.
    """
    sources = tree if isinstance(tree, Sources) else _sources(tree)
    left = LeftOut(contents.max_size)
    with published(out, is_whole=not contents.only) as folder:

        def write_pages(found: tuple[str, ...]) -> None:
            if contents.wants(*PAGES):
                of_files, of_profiles = pages(written, sources, folder, left)
                write_page(
                    queries,
                    bundle(),
                    folder,
                    notes=found,
                    links=replace(links, pages=of_files, profile_pages=of_profiles),
                    split=split,
                    comparison=comparison,
                    history=points,
                )
            if contents.wants("summary.md"):
                write_text(folder / "summary.md", summary(queries, found, comparison, contents, overhead))

        def wants(name: str) -> bool:
            return contents.wants(name) and name not in left.sizes

        if left.limit is not None and contents.wants(CSV) and least_csv_size(queries.executed) > left.limit:
            left.sizes[CSV] = None  # to find that out by writing it takes longer than all the rest
        for name, write in ARTIFACTS.items():
            if contents.wants(*(f"{name}.{ending}" for ending in ("json", "csv", "parquet"))):
                progress(name)
                write(queries, folder, wants)
        points: tuple[Point, ...] = ()
        if contents.wants("history.json", "history.csv", *PAGES):
            progress("history")
            points = history(queries, history_length)
            write_history(queries, points, folder)
        comparison = None
        if baseline is not None and contents.wants("summary.md", *COMPARISON, *PAGES):
            progress("comparing with the baseline")
            comparison = compare(queries, baseline)
            write_comparison(comparison, folder)
        written = write_profiles(queries, sources, folder, contents, left, progress)
        known = notes(queries, written)
        found = (*known, *left.notes())
        progress("index.html")
        write_pages(found)
        said = len(left.sizes)
        problems = write_exports(written, queries, sources, folder, left, progress)
        contents.drop_unwanted(folder, left.sizes, problems)
        positions = {folder_name(row["profile"]): number for number, row in enumerate(queries.leaderboard)}
        is_changed = left.drop(folder, positions) or bool(problems) or len(left.sizes) > said
        while is_changed:  # what says so makes the pages larger
            found = (*known, *problems, *left.notes())
            write_pages(found)
            is_changed = left.drop(folder, positions)
        files = tuple(f"{unit.name}/" if (folder / unit.name).is_dir() else unit.name for unit in units(folder))
    return Report(queries, out, files, found, comparison, dict(sorted(left.sizes.items())))


def _sources(tree: SourceTree | Mapping[str, str]) -> Sources:
    return Sources.of_tree(tree) if isinstance(tree, SourceTree) else Sources(tree)
