"""Writes what a report has for each profile, and for all of them in coverage.py's formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from coverage.files import flat_rootname

from otel_coverage.reporting.contents import Contents, LeftOut, remove, size_before, units
from otel_coverage.reporting.lost_runs import quoted
from otel_coverage.reporting.profiles.data_files import CONFIGURATION, DataFiles, data_files
from otel_coverage.reporting.profiles.documents import Documents
from otel_coverage.reporting.profiles.executed import executed_by_profiles
from otel_coverage.reporting.profiles.names import (
    COMBINED,
    COMBINED_DATA_FILE,
    EXPORTS,
    HTML,
    REPORT,
    data_file_name,
    folder_name,
)
from otel_coverage.reporting.profiles.renderer import Task, render
from otel_coverage.reporting.profiles.sources import Sources
from otel_coverage.reporting.queries import RevisionQueries

MOST_CONTEXTS = 10_000_000
"""Of lines with the profiles that execute them: with more, coverage.py's pages are too large to be opened."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ProfileFiles:
    """What was written, and what was not.

    Attributes:
        unresolved: files that a profile executed and the source does not have, or that coverage.py cannot name, sorted.
        tasks: what coverage.py is to write, the most useful first.
        notes: sentences about what it is not to write.
    """

    unresolved: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    notes: tuple[str, ...] = ()


class Pages(NamedTuple):
    """Addresses of coverage.py's pages, below the report's folder: of files, by path, and of profiles, by name."""

    of_files: dict[str, str]
    of_profiles: dict[str, str]


NOTHING = ProfileFiles()


def write_profiles(
    queries: RevisionQueries, sources: Sources, folder: Path, contents: Contents, left: LeftOut, progress: Progress
) -> ProfileFiles:
    """Write data files and documents.

    Args:
        queries: about the revision.
        sources: where the source is.
        folder: the report's.
        contents: what is wanted.
        left: takes what does not fit.
        progress: called with the name of what is under way.

    Raises:
        StoreError: the engine refuses.
        CoverageException: a data file cannot be written.
    """
    names = {row["profile"]: folder_name(row["profile"]) for row in queries.leaderboard}
    possible = [
        COMBINED_DATA_FILE,
        CONFIGURATION,
        f"{HTML}/",
        *(f"{COMBINED}{Path(file).suffix}" for file in EXPORTS.values()),
    ]
    for profile, name in names.items():
        possible += [data_file_name(profile), *(f"{name}/{file}" for file in (REPORT, HTML, *EXPORTS.values()))]
    if not contents.wants(*possible):
        return NOTHING
    wanted = {profile for profile, name in names.items() if contents.wants(f"{name}/{REPORT}")}
    catalog = queries.catalog
    documents = Documents(queries, catalog, folder) if wanted else None
    with data_files(queries, sources, catalog, folder) as data:
        spent, is_full = size_before(folder, f"{COMBINED}/{REPORT}"), False
        for number, executed in enumerate(executed_by_profiles(queries), 1):
            progress(f"profile {number} of {len(names)}")
            data.write(executed)
            if documents is None or executed.profile not in wanted:
                continue
            name = f"{names[executed.profile]}/{REPORT}"
            if is_full:
                left.sizes[name] = None
                continue
            documents.write(executed)
            size = (folder / name).stat().st_size
            is_full = left.limit is not None and spent + size > left.limit
            if is_full:
                left.sizes[name] = size
                remove(folder, name)
            else:
                spent += size
    progress("comparing the source with the revision")
    tasks, found = _checked(list(_tasks(queries, sources, folder, contents, data)), queries, sources, data)
    if contents.html and not contents.only and sources.folder is None:
        found.append("The source is not here, so coverage.py could not show it: --source-root says where it lies.")
    return ProfileFiles(tuple(sorted(data.unresolved)), tuple(tasks), tuple(found))


def _checked(
    tasks: list[Task], queries: RevisionQueries, sources: Sources, data: DataFiles
) -> tuple[list[Task], list[str]]:
    """The tasks without the files that are not what they were at the revision, and sentences about that."""
    if not tasks:
        return tasks, []
    found = []
    shown = {name for task in tasks for name in task.files}
    differing = sources.differing(queries, [path for path, name in sources.names.items() if name in shown])
    if differing is None:
        found.append(
            "Whether the source here is what ran is not known, as no catalog was pushed for this revision, and no "
            "repository here has it: the pages of coverage.py may show other lines than those that ran."
        )
    elif differing:
        found.append(
            "The source here is not what ran at this revision, so coverage.py does not show it, of these files: "
            f"{quoted(differing)}."
        )
    changed = {sources.names[path] for path in differing or ()}
    tasks = [replace(task, files=[name for name in task.files if name not in changed]) for task in tasks]
    if data.context_count > MOST_CONTEXTS and any(Path(task.path).name == HTML for task in tasks):
        found.append(
            f"html/ does not say which profiles execute a line: {data.context_count} entries would make its pages too "
            "large. index.html does, and {slug}/html/ has the lines of one profile each."
        )
    return [task for task in tasks if task.files], found


def write_exports(
    written: ProfileFiles, queries: RevisionQueries, sources: Sources, folder: Path, left: LeftOut, progress: Progress
) -> tuple[str, ...]:
    """Have coverage.py write the rest, until it does not fit; returns a sentence for each file that it cannot write.

    Args:
        written: what was written before.
        queries, sources, folder, left, progress: see :func:`write_profiles`.
    """
    problems: list[str] = []
    names = [Path(task.path).relative_to(folder).as_posix() for task in written.tasks]
    spent = sum(unit.size for unit in units(folder))
    statements = _statements(queries, sources) if queries.has_catalog and written.tasks else None
    rendering = render(written.tasks, sources.folder or "", sources.rcfile, queries.newest_span, statements)
    for number, (task, problem) in enumerate(rendering, 1):
        progress(f"{names[number - 1]} ({number} of {len(names)})")
        if problem:
            problems.append(f"coverage.py cannot write {names[number - 1]}: {problem}.")
        path = Path(task.path)
        spent += sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]) if file.exists())
        if left.limit is not None and spent > left.limit:
            left.sizes.update(dict.fromkeys(names[number:]))
            break
    rendering.close()
    for name in names:
        if name in left.sizes:  # made beside those before it
            remove(folder, name)
    return tuple(problems)


def _statements(queries: RevisionQueries, sources: Sources) -> dict[str, list[int]]:
    """The lines inside functions, as the catalog has them, by the name of the file in data files."""
    found: dict[str, list[int]] = {name: [] for name in sources.names.values()}
    for row in queries.catalog:
        if row["kind"] == "function" and row["file"] in sources.names:
            found[sources.names[row["file"]]] += row["executable_lines"]
    return found


def pages(written: ProfileFiles, sources: Sources, folder: Path, left: LeftOut) -> Pages:
    """Where coverage.py's pages are that are written, or to be.

    Args:
        written, sources, folder, left: see :func:`write_exports`.
    """
    of_files: dict[str, str] = {}
    of_profiles: dict[str, str] = {}
    paths = {name: path for path, name in sources.names.items()}
    for task in written.tasks:
        name = Path(task.path).relative_to(folder).as_posix()
        if task.format != HTML or name in left.sizes:
            continue
        if task.profile is None:
            of_files = {paths[file]: f"{name}/{flat_rootname(file)}.html" for file in task.files}
        else:
            of_profiles[task.profile] = f"{name}/index.html"
    return Pages(of_files, of_profiles)


def _tasks(
    queries: RevisionQueries, sources: Sources, folder: Path, contents: Contents, data: DataFiles
) -> Iterator[Task]:
    """What coverage.py is to write, the most useful first."""
    if sources.folder is None or not data.reached:
        return
    here = [sources.names[path] for path in sorted(sources.files)]
    reached = {profile: _reached(sources, paths) for profile, paths in data.reached.items()}
    every = sorted(set().union(*reached.values()))
    ranked = [row["profile"] for row in queries.leaderboard if row["profile"] in reached]
    for format_name, file in EXPORTS.items():
        name = f"{COMBINED}{Path(file).suffix}"
        if contents.wants_format(format_name, name):
            yield Task(format_name, str(folder / COMBINED_DATA_FILE), str(folder / name), "", here)
        for profile in ranked:
            name = f"{folder_name(profile)}/{file}"
            if contents.wants_format(format_name, name):
                yield Task(format_name, str(folder / data_file_name(profile)), str(folder / name), "", here)
    if contents.wants_format(HTML, HTML):
        title = f"Coverage of {queries.revision[:12]} by {len(ranked)} profiles"
        contexts = data.context_count <= MOST_CONTEXTS
        yield Task(HTML, str(folder / COMBINED_DATA_FILE), str(folder / HTML), title, every, contexts)
    for profile in ranked:
        name = f"{folder_name(profile)}/{HTML}"
        if contents.wants_format(HTML, name):
            data_file = str(folder / data_file_name(profile))
            yield Task(
                HTML,
                data_file,
                str(folder / name),
                f"Coverage by {folder_name(profile)}",
                reached[profile],
                profile=profile,
            )


def _reached(sources: Sources, paths: Iterable[str]) -> list[str]:
    return sorted(sources.names[path] for path in paths if path in sources.files)
