"""``{slug}.coverage``: a coverage.py data file for each profile, its context the slug."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import coverage

from otel_coverage.coveragepy import close_data
from otel_coverage.reporting.findings import Findings
from otel_coverage.slug import is_slug
from otel_coverage.source import SourceTree


class DataFiles:
    """Writes the data files; lines belong to the files of a source tree, wherever it lies on this machine.

    Every file of the tree is in each of them, so that ``coverage report`` also shows those that nobody executed. They
    hold arcs where all of a profile was recorded with branches, and lines alone elsewhere: arcs of a part would make
    branches of the rest look missed.

    Args:
        tree: the source that was traced.
    """

    def __init__(self, tree: SourceTree) -> None:
        self._filenames: Mapping[str, str] = {file.path: file.filename for file in tree.files()}

    def render(self, findings: Findings, folder: Path) -> None:
        """One for each profile whose lines are known and whose name can be a file's."""
        for profile in findings.profiles:
            if is_slug(profile.name) and profile.name not in without_lines(findings):
                with _data_file(folder / data_file_name(profile.name), profile.name) as data:
                    self._fill(data, findings.lines.get(profile.name, {}), findings.arcs.get(profile.name))

    def unresolved(self, findings: Findings) -> tuple[str, ...]:
        """Files that some profile executed and the tree does not have, sorted."""
        return tuple(sorted({file for lines in findings.lines.values() for file in lines} - self._filenames.keys()))

    def _fill(
        self,
        data: coverage.CoverageData,
        lines: Mapping[str, frozenset[int]],
        arcs: Mapping[str, frozenset[tuple[int, int]]] | None,
    ) -> None:
        here = [file for file in sorted(lines) if file in self._filenames]
        if arcs is None:
            data.add_lines({self._filenames[file]: sorted(lines[file]) for file in here})
        else:
            data.add_arcs(
                {self._filenames[file]: sorted(_with_all(lines[file], arcs.get(file, frozenset()))) for file in here}
            )
        data.touch_files([self._filenames[file] for file in sorted(self._filenames)])


@contextmanager
def _data_file(path: Path, slug: str) -> Iterator[coverage.CoverageData]:
    """An empty data file, with the slug for its context; written when the block ends."""
    data = coverage.CoverageData(basename=str(path))
    try:
        data.set_context(slug)
        yield data
        data.write()
    finally:
        close_data(data)


def _with_all(lines: frozenset[int], arcs: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    """The arcs, and for each line that none of them names one to itself: coverage.py's way to say that it went on."""
    named = {line for arc in arcs for line in arc}
    return arcs | {(line, line) for line in lines - named}


def data_file_name(slug: str) -> str:
    """What the data file of a profile is called."""
    return f"{slug}.coverage"


def without_lines(findings: Findings) -> tuple[str, ...]:
    """Profiles that were recorded by function alone: a data file would make all their lines look missed."""
    return tuple(
        profile.name
        for profile in findings.profiles
        if findings.hits.get(profile.name) and not findings.lines.get(profile.name)
    )
