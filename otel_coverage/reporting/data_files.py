"""``{slug}.coverage``: a coverage.py data file for each profile, with the slug as its context.

Lines belong to the files of a source tree, wherever it is on this machine. Every file of the tree is in each data
file, so that ``coverage report`` also shows those that were not executed. They hold arcs where all of a profile was
recorded with branches, and lines elsewhere: arcs of a part would make branches of the rest look missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import coverage

from otel_coverage.coveragepy import close_data
from otel_coverage.reporting.files import data_file_name
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.slug import is_slug

Arc = tuple[int, int]


def write_data_files(queries: RevisionQueries, filenames: Mapping[str, str], folder: Path) -> tuple[str, ...]:
    """Write one for each profile whose lines are known and whose name can be a file's.

    Args:
        queries: what to read.
        filenames: the source tree's files: where each is, by its path as in the store.
        folder: where to write.

    Returns:
        The files that some profile executed and the tree does not have, sorted.
    """
    lines: dict[str, dict[str, list[int]]] = {}
    for profile, rows in groupby(queries.ask("executed-lines").rows, key=lambda row: row[0]):
        lines[profile] = {file: numbers for _, file, numbers in rows}
    branched = {profile for profile, whole in queries.branches.items() if whole}
    arcs: dict[str, dict[str, list[Arc]]] = {}
    if branched:
        for profile, rows in groupby(queries.ask("executed-arcs").rows, key=lambda row: row[0]):
            arcs[profile] = {file: [(before, after) for before, after in taken] for _, file, taken in rows}
    bare = without_lines(queries)
    for profile in (row["profile"] for row in queries.profiles):
        if is_slug(profile) and profile not in bare:
            with _data_file(folder / data_file_name(profile), profile) as data:
                executed = {file: numbers for file, numbers in lines.get(profile, {}).items() if file in filenames}
                if profile in branched:
                    taken = arcs.get(profile, {})
                    data.add_arcs(
                        {filenames[file]: _with_all(numbers, taken.get(file, ())) for file, numbers in executed.items()}
                    )
                else:
                    data.add_lines({filenames[file]: numbers for file, numbers in executed.items()})
                data.touch_files([filenames[file] for file in sorted(filenames)])
    return tuple(sorted({file for files in lines.values() for file in files} - filenames.keys()))


def without_lines(queries: RevisionQueries) -> tuple[str, ...]:
    """Profiles that were recorded by function alone: a data file would make all their lines look missed."""
    return tuple(row["profile"] for row in queries.profiles if row["functions"] and not row["lines"])


@contextmanager
def _data_file(path: Path, slug: str) -> Iterator[coverage.CoverageData]:
    """An empty data file with the slug as its context; written when the block ends."""
    data = coverage.CoverageData(basename=str(path))
    try:
        data.set_context(slug)
        yield data
        data.write()
    finally:
        close_data(data)


def _with_all(lines: Iterable[int], arcs: Iterable[Arc]) -> list[Arc]:
    """The arcs, and for each line that none of them names an arc to itself: coverage.py's way to say that it ran."""
    taken = set(arcs)
    named = {line for arc in taken for line in arc}
    return sorted(taken | {(line, line) for line in set(lines) - named})
