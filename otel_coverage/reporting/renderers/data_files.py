"""``{slug}.coverage``: a coverage.py data file for each profile, its context the slug."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import coverage

from otel_coverage.coveragepy import close_data
from otel_coverage.reporting.findings import Findings
from otel_coverage.source import SourceTree
from otel_coverage.tracing.playback import is_slug


class DataFiles:
    """Writes the data files; lines belong to the files of a source tree, wherever it lies on this machine.

    Every file of the tree is in each of them, so that ``coverage report`` also shows those that nobody executed.

    Args:
        tree: the source that was traced.
    """

    def __init__(self, tree: SourceTree) -> None:
        self._filenames: Mapping[str, str] = {file.path: file.filename for file in tree.files()}

    def render(self, findings: Findings, folder: Path) -> None:
        """One for each profile whose lines are known and whose name can be a file's."""
        for profile in findings.profiles:
            if is_slug(profile.name) and profile.name not in without_lines(findings):
                self._write(findings.lines.get(profile.name, {}), profile.name, folder / data_file_name(profile.name))

    def unresolved(self, findings: Findings) -> tuple[str, ...]:
        """Files that some profile executed and the tree does not have, sorted."""
        return tuple(sorted({file for lines in findings.lines.values() for file in lines} - self._filenames.keys()))

    def _write(self, lines: Mapping[str, frozenset[int]], slug: str, path: Path) -> None:
        data = coverage.CoverageData(basename=str(path))
        data.set_context(slug)
        data.add_lines(
            {self._filenames[file]: sorted(lines[file]) for file in sorted(lines) if file in self._filenames}
        )
        data.touch_files([self._filenames[file] for file in sorted(self._filenames)])
        data.write()
        close_data(data)


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
