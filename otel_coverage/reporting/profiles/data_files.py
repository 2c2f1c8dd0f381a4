"""``{slug}.coverage``: a coverage.py data file for each profile, with the slug as its context; ``all.coverage``: all.

They name files relative to the checkout, so that they can be read in any: with ``relative_files``, which the
``coveragerc`` beside them says. Every file of the source is in each, so that ``coverage report`` also shows those that
were not executed. They hold arcs where all of a profile was recorded with branches, and lines elsewhere: arcs of a part
would make branches of the rest look missed.

They hold the lines that the leaderboard counts, those inside functions. The others run when a module is imported,
which the process decides and not the profile: in the first profile's files they would be, and in the next one's not.
Only the catalog tells them apart; without one all lines are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import coverage

from otel_coverage import coveragepy
from otel_coverage.coveragepy import close_data
from otel_coverage.reporting.profiles.executed import Arc, Executed, Row
from otel_coverage.reporting.profiles.names import COMBINED_DATA_FILE, data_file_name, folder_name
from otel_coverage.reporting.profiles.sources import Sources
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.slug import is_slug

CONFIGURATION = "coveragerc"


class DataFiles:
    """Writes the data files of profiles, one after the other.

    Args:
        queries: about the revision.
        sources: what the files name.
        catalog: the rows of the catalog; none without one.
        folder: where to write.
        combined: the data file for all profiles together.

    Attributes:
        context_count: how many lines all profiles execute, each counted for each of them.
        unresolved: files that a profile executed and the source does not have.
        reached: the files, by their path as in the store, that each profile executed lines of, by profile.
    """

    def __init__(
        self,
        queries: RevisionQueries,
        sources: Sources,
        catalog: Iterable[Row],
        folder: Path,
        combined: coverage.CoverageData,
    ) -> None:
        self._sources = sources
        self._folder = folder
        self._combined = combined
        self._with_arcs = bool(queries.branches) and all(queries.branches.values())
        self._bodies = _bodies(catalog) if queries.has_catalog else None
        self.context_count = 0
        self.unresolved: set[str] = set()
        self.reached: dict[str, set[str]] = {}

    def write(self, executed: Executed) -> None:
        """Write the file of a profile whose lines were recorded, and add them to the one of all."""
        if executed.lines is None:
            return
        lines, arcs = self._named(executed.lines), self._named(executed.arcs or {})
        inside = {file: [line for line in numbers if self._is_inside(line, file)] for file, numbers in lines.items()}
        taken = {
            file: [arc for arc in arcs.get(file, ()) if all(self._is_inside(end, file) for end in arc if end > 0)]
            for file in inside
        }
        self.context_count += sum(map(len, inside.values()))
        self.reached[executed.profile] = {file for file, numbers in inside.items() if numbers}
        with _data_file(self._folder / data_file_name(executed.profile)) as data:
            self._add(data, executed.profile, inside, taken if executed.arcs is not None else None)
            self._touch(data)
        self._add(self._combined, executed.profile, inside, taken if self._with_arcs else None)

    def finish(self) -> None:
        """Complete the file of all profiles, which stays empty where no lines of any were recorded."""
        if self.reached:
            self._touch(self._combined)

    def _named(self, found: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """What was found of each file, by its path in the source."""
        merged: dict[str, list[Any]] = {}
        for recorded, values in found.items():
            path = self._sources.path_of(recorded)
            if path is None:
                self.unresolved.add(recorded)
            else:
                merged[path] = sorted({*merged[path], *values}) if path in merged else values
        return merged

    def _is_inside(self, line: int, file: str) -> bool:
        """Whether the line is in the body of a function, as far as is known."""
        return self._bodies is None or line in self._bodies.get(file, ())

    def _add(
        self,
        data: coverage.CoverageData,
        profile: str,
        lines: Mapping[str, list[int]],
        arcs: Mapping[str, list[Arc]] | None,
    ) -> None:
        names = self._sources.names
        # older releases of coverage.py write contexts into pages as they are
        data.set_context(profile if is_slug(profile) else folder_name(profile))
        if arcs is None:
            data.add_lines({names[file]: numbers for file, numbers in lines.items()})
        else:
            data.add_arcs({names[file]: _with_all(numbers, arcs[file]) for file, numbers in lines.items()})

    def _touch(self, data: coverage.CoverageData) -> None:
        data.touch_files([self._sources.names[file] for file in sorted(self._sources.names)])


@contextmanager
def data_files(queries: RevisionQueries, sources: Sources, catalog: Iterable[Row], folder: Path) -> Iterator[DataFiles]:
    """Data files to write, below a folder; they are complete when the block ends.

    Raises:
        CoverageException: one cannot be written.
    """
    with _data_file(folder / COMBINED_DATA_FILE) as combined:
        files = DataFiles(queries, sources, catalog, folder, combined)
        yield files
        files.finish()
    if not files.reached:
        (folder / COMBINED_DATA_FILE).unlink(missing_ok=True)
    (folder / CONFIGURATION).write_text(_configuration(sources.rcfile), encoding="utf-8", newline="")


def _configuration(rcfile: str | None) -> str:
    """A configuration to read data files with: names are relative, and lines count as the application's says."""
    lines = ["[run]", "relative_files = true"]
    if rcfile is not None:
        lines += ["", "[report]", "exclude_lines ="]
        lines += [f"    {each}" for each in coveragepy.excluded(rcfile)]
        entries = coveragepy.paths(rcfile)
        if entries:
            lines += ["", "[paths]"]
        for number, entry in enumerate(entries):
            lines += [f"paths{number} =", *(f"    {each}" for each in entry)]
    return "\n".join([*lines, ""])


def _bodies(catalog: Iterable[Row]) -> dict[str, set[int]]:
    """The lines in the bodies of functions, by file."""
    found: dict[str, set[int]] = {}
    for symbol in catalog:
        if symbol["kind"] == "function" and symbol["executable_lines"]:
            body = range(min(symbol["executable_lines"]), symbol["end_line"] + 1)
            found.setdefault(symbol["file"], set()).update(body)
    return found


@contextmanager
def _data_file(path: Path) -> Iterator[coverage.CoverageData]:
    """An empty data file; written when the block ends."""
    data = coverage.CoverageData(basename=str(path))
    try:
        yield data
        data.write()
    finally:
        close_data(data)


def _with_all(lines: Iterable[int], arcs: Iterable[Arc]) -> list[Arc]:
    """The arcs, and for each line that none of them names an arc to itself: coverage.py's way to say that it ran."""
    taken = set(arcs)
    named = {line for arc in taken for line in arc}
    return sorted(taken | {(line, line) for line in set(lines) - named})
