"""The source tree: which files are the application's own, and the module name of each.

A module's name is derived from its path alone, never from ``__name__``, so that a file run as ``__main__`` and the same
file imported, in a container or a checkout, get the same name.
"""

from __future__ import annotations

import importlib.machinery
import linecache
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import coverage
from coverage.files import GlobMatcher, prep_patterns

from otel_coverage.coveragepy import read_configuration
from otel_coverage.errors import ConfigurationError

_DEFINITION = re.compile(r"\s*(?P<decorator>@)|\s*(?:async\s+)?def\s+(?P<name>\w+)")
_BEFORE_EXPRESSION = re.compile(r"\s*(?P<decorator>@)?[\s(]*(?:#.*|\\\s*)?")  # that of a decorator


@dataclass(frozen=True)
class SourceFile:
    """One Python file of the application.

    Attributes:
        filename: absolute path in this process's file system, symbolic links resolved.
        path: posix path below the folder that would stand on ``sys.path``, e.g. ``shop/orders.py``.
        module: dotted name made from ``path``, e.g. ``shop.orders``; a package's ``__init__.py`` has the package's.
    """

    filename: str
    path: str
    module: str

    def defines(self, name: str, line: int) -> bool:
        """Whether the source defines the function ``name`` with a ``def`` or a first decorator that stands on ``line``.

        True where the source is missing or unreadable: functions are far more frequent than the hidden scopes that have
        to be distinguished from them (see :mod:`otel_coverage.symbols`).
        """
        text = linecache.getline(self.filename, line)
        found = _DEFINITION.match(text)
        if found is None and not self._begins_decorator(line):
            return not text
        if found is None or found["decorator"]:
            return name != "__annotate__"  # the scope of a decorated function's annotations stands on the same line
        return unicodedata.normalize("NFKC", found["name"]) == name

    def _begins_decorator(self, line: int) -> bool:
        """Whether an expression that begins on ``line`` is that of a decorator whose ``@`` stands on a line before."""
        while line > 1:
            line -= 1
            found = _BEFORE_EXPRESSION.fullmatch(linecache.getline(self.filename, line).rstrip("\n"))
            if found is None or found["decorator"]:
                return found is not None
        return False


@dataclass(frozen=True)
class SourceRoot:
    """A folder of application code below an import root.

    Attributes:
        folder: absolute path; only files below it (or it itself, for a single-file module) belong to the application.
        import_root: absolute path that module names are relative to.
    """

    folder: str
    import_root: str


class SourceTree:
    """The application's files, as ``source``, ``include`` and ``omit`` choose them.

    Args:
        source: folders, files, or importable package names; empty for the working directory.
        include: glob patterns, as in a coverage.py configuration; empty for all.
        omit: glob patterns, as in a coverage.py configuration.
        rcfile: the coverage.py configuration that says which lines count; None for coverage.py's defaults.

    Raises:
        ConfigurationError: an entry of ``source`` is neither a folder or file nor an importable package.
    """

    def __init__(
        self,
        source: Iterable[str] = (),
        *,
        include: Iterable[str] = (),
        omit: Iterable[str] = (),
        rcfile: str | None = None,
    ) -> None:
        entries = tuple(source) or (".",)
        self.roots = tuple(_root_of(entry) for entry in entries)
        self.rcfile = rcfile
        include, omit = tuple(include), tuple(omit)
        self._include = GlobMatcher(prep_patterns(include), "include") if include else None
        self._omit = GlobMatcher(prep_patterns(omit), "omit") if omit else None
        self._entries = entries
        self._located: dict[str, SourceFile | None] = {}

    @classmethod
    def from_rcfile(cls, source: Iterable[str] = (), rcfile: str | None = None) -> SourceTree:
        """The tree that a coverage.py configuration file describes; ``source``, where given, overrides the file's.

        As in coverage.py, ``include`` is ignored where any source is given.

        Raises:
            ConfigurationError: the file cannot be read as a coverage.py configuration.
        """
        if rcfile is None:
            return cls(source)
        config = read_configuration(rcfile)

        def values(option: str) -> list[str]:
            try:
                value = config.get_option(option)
            except coverage.CoverageException:  # an option that this coverage.py does not have yet
                return []
            return [str(item) for item in value] if isinstance(value, list) else []

        source = tuple(source) or (*values("run:source"), *values("run:source_pkgs"), *values("run:source_dirs"))
        return cls(
            source,
            include=() if source else values("run:include"),
            omit=values("run:omit"),
            rcfile=os.path.abspath(rcfile),
        )

    def locate(self, filename: str) -> SourceFile | None:
        """The application's file of that name, or None for all other files. Answers are cached."""
        try:
            return self._located[filename]
        except KeyError:
            found = self._located[filename] = self._locate(filename)
            return found

    def files(self) -> Iterator[SourceFile]:
        """Every file of the tree, each once, sorted by path below its root.

        Raises:
            ConfigurationError: there is none.
        """
        seen: set[str] = set()
        for root in self.roots:
            for filename in sorted(_python_files(root.folder)):
                file = self.locate(filename)
                if file is not None and file.filename not in seen:
                    seen.add(file.filename)
                    yield file
        if not seen:
            raise ConfigurationError(
                f"source {', '.join(self._entries)}: no Python file matches; "
                "OTEL_COVERAGE_SOURCE names the application's packages or folders"
            )

    def _locate(self, filename: str) -> SourceFile | None:
        if not filename.endswith((".py", ".pyw")) or filename.startswith("<"):
            return None
        real = os.path.realpath(filename)
        for root in self.roots:
            if not _is_own(real, root.folder):
                continue
            if self._include is not None and not self._include.match(real):
                return None
            if self._omit is not None and self._omit.match(real):
                return None
            path = _strip_src(Path(os.path.relpath(real, root.import_root)), root.import_root)
            return SourceFile(real, path.as_posix(), module_name(path))
        return None


def module_name(path: PurePosixPath | Path) -> str:
    """The dotted name of the module at ``path``, relative to its import root."""
    parts = list(path.with_suffix("").parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def _strip_src(path: Path, import_root: str) -> Path:
    """Drop the leading ``src`` of a src layout: it stands on ``sys.path``, not in module names."""
    if len(path.parts) > 1 and path.parts[0] == "src" and not Path(import_root, "src", "__init__.py").exists():
        return Path(*path.parts[1:])
    return path


def _root_of(entry: str) -> SourceRoot:
    path = Path(entry)
    if path.exists():
        real = Path(os.path.realpath(path))
        import_root = real if real.is_dir() else real.parent
        while (import_root / "__init__.py").exists() and import_root != import_root.parent:
            import_root = import_root.parent
        return SourceRoot(str(real), str(import_root))
    location = _package_location(entry)
    if location is None:
        raise ConfigurationError(
            f"source {entry!r}: neither a folder or file here nor an importable package; set OTEL_COVERAGE_SOURCE"
        )
    real = Path(os.path.realpath(location))
    import_root = real.parent
    for _ in entry.split(".")[1:]:
        import_root = import_root.parent
    return SourceRoot(str(real), str(import_root))


def _package_location(name: str) -> str | None:
    """Where the package or module lies, found without importing anything."""
    search: list[str] | None = [os.getcwd(), *sys.path]
    location: str | None = None
    for part_count in range(1, len(name.split(".")) + 1):
        dotted = ".".join(name.split(".")[:part_count])
        try:
            spec = importlib.machinery.PathFinder.find_spec(dotted, search)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        if spec.submodule_search_locations is not None:
            search = list(spec.submodule_search_locations)
            location = search[0] if search else None
        else:
            search, location = [], spec.origin
    return location


def _python_files(folder: str) -> Iterator[str]:
    if os.path.isfile(folder):
        yield folder
        return
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_foreign(os.path.join(here, name))]
        yield from (os.path.join(here, name) for name in names if name.endswith((".py", ".pyw")))


def _is_own(filename: str, root: str) -> bool:
    """Whether the file lies below ``root``, in no foreign folder on the way, or is ``root`` itself."""
    if filename == root:
        return True
    if not filename.startswith(root.rstrip(os.sep) + os.sep):
        return False
    folder = os.path.dirname(filename)
    while folder != root:
        if _is_foreign(folder):
            return False
        folder = os.path.dirname(folder)
    return True


def _is_foreign(folder: str) -> bool:
    """Folders below a source root whose files are never the application's own: installed, hidden or generated ones."""
    name = os.path.basename(folder)
    return (
        name in ("site-packages", "dist-packages", "__pycache__", "node_modules")
        or name.startswith(".")
        or os.path.exists(os.path.join(folder, "pyvenv.cfg"))
    )
