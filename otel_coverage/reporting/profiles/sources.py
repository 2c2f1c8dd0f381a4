"""The source that a report shows: where each file lies, what data files call it, and whether it is what ran."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from otel_coverage import coveragepy
from otel_coverage.catalog.analysis import FileAnalysis
from otel_coverage.catalog.builder import analyze_files
from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.revision import differing_files, revision_of
from otel_coverage.source import SourceFile, SourceTree, encodable, module_name, working_folder

if TYPE_CHECKING:
    from coverage.files import PathAliases

_DEFINITIONS = """
SELECT toString(file) AS file, groupArray((qualname, line, end_line, digest)) AS definitions
FROM symbol_catalog
WHERE namespace = {namespace:String} AND revision = {revision:String}
GROUP BY file
"""


@dataclass(frozen=True)
class Sources:
    """The files of an application, as a report knows them.

    Attributes:
        names: what data files call each file, by its path as in the store: relative to ``folder``, with slashes.
        folder: absolute path; None where the source is not on this machine.
        files: those that are on this machine, by their path as in the store.
        rcfile: the coverage.py configuration that says which lines count; None for coverage.py's defaults.
        roots: the folders that the source was said to be in.
    """

    names: Mapping[str, str]
    folder: str | None = None
    files: Mapping[str, SourceFile] = field(default_factory=dict)
    rcfile: str | None = None
    roots: tuple[str, ...] = ()

    @classmethod
    def of_tree(cls, tree: SourceTree, folder: str | Path | None = None) -> Sources:
        """The files of a tree, without those that coverage.py cannot write the names of.

        Args:
            tree: the source that was traced.
            folder: what data files' names are relative to; None for the working directory where all of the files are
                below it, else the folder that modules are imported from.

        Raises:
            ConfigurationError: the tree has no file, or one that is not below ``folder``.
        """
        files = {file.path: file for file in tree.files() if encodable(file.filename) == file.filename}
        base = _default_folder(tree, files.values()) if folder is None else os.path.realpath(folder)
        outside = next((file.filename for file in files.values() if not _is_below(file.filename, base)), None)
        if outside is not None:
            raise ConfigurationError(
                f"--source-root {folder}: the source's {outside} is not below it; expected the folder of the checkout"
            )
        names = {path: _relative(file.filename, base) for path, file in files.items()}
        return cls(names, base, files, tree.rcfile, tuple(root.folder for root in tree.roots))

    @classmethod
    def of_paths(cls, paths: Iterable[str], folder: str | Path | None = None, rcfile: str | None = None) -> Sources:
        """The files with these paths, as in the store, wherever they are found below a folder.

        Args:
            paths: as in the store.
            folder: the checkout; None where it is not on this machine.
            rcfile: the coverage.py configuration that says which lines count.
        """
        if folder is None:
            return cls({path: path for path in paths}, rcfile=rcfile)
        base = os.path.realpath(folder)
        found = {path: _found(path, base) for path in paths}
        files = {path: SourceFile(name, path, module_name(Path(path))) for path, name in found.items() if name}
        names = {path: _relative(name, base) if name else path for path, name in found.items()}
        return cls(names, base, files, rcfile, (base,))

    def path_of(self, recorded: str) -> str | None:
        """Which of the files a recorded path means, by ``[paths]`` of the configuration where it is none; else None."""
        if recorded in self.names:
            return recorded
        for path in (recorded, f"/{recorded}"):
            name = self._aliases.map(path, self._paths.__contains__)
            if name in self._paths:
                return self._paths[name]
        return None

    def differing(self, queries: RevisionQueries, paths: Collection[str]) -> tuple[str, ...] | None:
        """Which of some files are not what they were at the revision of a report, sorted; None where nobody knows.

        A commit says it where its repository is here. Else the catalog does, which knows the text of each definition.

        Args:
            queries: about the revision.
            paths: as in the store.
        """
        files = [self.files[path] for path in sorted(paths) if path in self.files]
        if not files or self.folder is None:
            return ()
        changed = differing_files(self.folder, [Path(file.filename) for file in files], queries.revision)
        if changed is not None:
            return tuple(file.path for file in files if Path(file.filename) in changed)
        if not queries.has_catalog:
            return () if revision_of(self.roots) == queries.revision else None
        known = {"namespace": queries.namespace, "revision": queries.revision}
        catalog = {file: set(map(tuple, found)) for file, found in queries.store.query(_DEFINITIONS, known).rows}
        found = []
        for file, outcome in analyze_files(files, self.rcfile, in_parallel=True, cached=True):
            here = outcome.symbols(file) if isinstance(outcome, FileAnalysis) else ()
            definitions = {
                (each.symbol.qualname, each.symbol.line, each.end_line, each.digest)
                for each in here
                if not each.excluded
            }
            if definitions != catalog.get(file.path, set()) or not isinstance(outcome, FileAnalysis):
                found.append(file.path)
        return tuple(sorted(found))

    @cached_property
    def _paths(self) -> dict[str, str]:
        """The path as in the store, by the name in data files."""
        return {name: path for path, name in self.names.items()}

    @cached_property
    def _aliases(self) -> PathAliases:
        from coverage.files import PathAliases

        aliases = PathAliases(relative=True)
        if self.rcfile is not None:
            for results, *patterns in coveragepy.paths(self.rcfile):
                for pattern in patterns:
                    aliases.add(pattern, results)
        return aliases


def _default_folder(tree: SourceTree, files: Iterable[SourceFile]) -> str:
    here = os.path.realpath(working_folder())
    if all(_is_below(file.filename, here) for file in files):
        return here
    return os.path.commonpath([root.import_root for root in tree.roots])


def _found(path: str, folder: str) -> str | None:
    """Where a file lies below a folder, in which modules are imported from itself or from its ``src``."""
    if ".." in PurePosixPath(path).parts:
        return None
    for place in (folder, os.path.join(folder, "src")):
        name = os.path.realpath(os.path.join(place, path))
        if _is_below(name, folder) and os.path.isfile(name) and encodable(name) == name:
            return name
    return None


def _is_below(filename: str, folder: str) -> bool:
    return filename.startswith(folder.rstrip(os.sep) + os.sep)


def _relative(filename: str, folder: str) -> str:
    return Path(os.path.relpath(filename, folder)).as_posix()
