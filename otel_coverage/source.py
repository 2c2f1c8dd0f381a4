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
from importlib.machinery import ModuleSpec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from otel_coverage import coveragepy
from otel_coverage.errors import ConfigurationError
from otel_coverage.settings import Settings

NAMED_BY = "OTEL_COVERAGE_SOURCE"

if TYPE_CHECKING:
    from coverage.files import GlobMatcher

_DEFINITION = re.compile(r"\s*(?P<decorator>@)|\s*(?:async\s+)?def\s+(?P<name>\w+)")
_HIDDEN_SCOPE = r"\btype(?:\s+{0}\b|\s*\\)|\b{0}\s*(?:[:=#\\]|$)"  # an alias, or what a type variable is bound to
_BEFORE_EXPRESSION = re.compile(r"\s*(?P<decorator>@)?[\s(]*(?:#.*|\\\s*)?")  # that of a decorator


@dataclass(frozen=True)
class SourceFile:
    """One Python file of the application.

    Attributes:
        filename: absolute path in this process's file system, symbolic links resolved.
        path: posix path below the folder that would stand on ``sys.path``, e.g. ``shop/orders.py``. Bytes that are not
            UTF-8 are written out (``caf\\udce9.py``), here and in the module's name: no store takes them.
        module: dotted name made from ``path``, e.g. ``shop.orders``; a package's ``__init__.py`` has the package's.
    """

    filename: str
    path: str
    module: str

    def defines(self, name: str, line: int) -> bool:
        """Whether code of that ``name`` that begins on ``line`` is of a ``def``, or of a first decorator, there.

        True unless the source shows a hidden scope of that name (see :mod:`otel_coverage.symbols`): functions are far
        more frequent. So they keep their names where the source is missing, or has changed since it was loaded.
        """
        linecache.checkcache(self.filename)  # a reload does not
        text = unicodedata.normalize("NFKC", linecache.getline(self.filename, line))
        found = _DEFINITION.match(text)
        if (found is None and self._begins_decorator(line)) or (found is not None and found["decorator"]):
            return name != "__annotate__"  # the scope of a decorated function's annotations stands on the same line
        if found is not None and found["name"] == name:
            return True
        if name == "__annotate__":
            return not text
        return re.search(_HIDDEN_SCOPE.format(re.escape(name)), text) is None

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

    Where an entry of ``source`` is a symbolic link or lies below one (``current -> releases/7``), the tree follows when
    that is switched. Files that it led to before stay the application's, since code of theirs may be loaded.

    Args:
        source: folders, files, or importable package names; empty for the working directory.
        include: glob patterns, as in a coverage.py configuration; empty for all.
        omit: glob patterns, as in a coverage.py configuration.
        rcfile: the coverage.py configuration that says which lines count; None for coverage.py's defaults.
        named_by: the setting that names the source, for error messages.

    Raises:
        ConfigurationError: an entry of ``source`` is neither a folder or file nor an importable package.

    Attributes:
        roots: where the files are now.
        rcfile: as given.
    """

    def __init__(
        self,
        source: Iterable[str] = (),
        *,
        include: Iterable[str] = (),
        omit: Iterable[str] = (),
        rcfile: str | None = None,
        named_by: str = NAMED_BY,
    ) -> None:
        entries = tuple(source) or (".",)
        self._named_by = named_by
        self._places = tuple(_Place.of(entry, named_by) for entry in entries)
        self.roots = tuple(place.root for place in self._places)
        self._former_roots: tuple[SourceRoot, ...] = ()
        self.rcfile = rcfile
        self._include = _matcher(include, "include")
        self._omit = _matcher(omit, "omit")
        self._entries = entries
        self._located: dict[str, SourceFile | None] = {}

    @classmethod
    def of(cls, settings: Settings, folder: str | None = None) -> SourceTree:
        """The tree that the settings describe.

        Args:
            settings: say which.
            folder: what it is where they say nothing; the working directory of now where not given.

        Raises:
            ConfigurationError: a setting cannot be used; the message says where it is.
        """
        source = settings.source or (() if folder is None else (folder,))
        named_by = settings.origin("source")
        return cls.from_rcfile(source, settings.rcfile, named_by=named_by, rcfile_named_by=settings.origin("rcfile"))

    @classmethod
    def from_rcfile(
        cls,
        source: Iterable[str] = (),
        rcfile: str | None = None,
        *,
        named_by: str = NAMED_BY,
        rcfile_named_by: str = coveragepy.NAMED_BY,
    ) -> SourceTree:
        """The tree that a coverage.py configuration file describes; ``source``, where given, overrides the file's.

        As in coverage.py, ``include`` is ignored where any source is given.

        Args:
            source, rcfile, named_by: see the class.
            rcfile_named_by: the setting that names the file, for error messages.

        Raises:
            ConfigurationError: the file cannot be read as a coverage.py configuration.
        """
        if rcfile is None:
            return cls(source, named_by=named_by)
        config = coveragepy.read_configuration(rcfile, rcfile_named_by)
        from coverage import CoverageException

        def values(option: str) -> list[str]:
            try:
                value = config.get_option(option)
            except CoverageException:  # an option that this coverage.py does not have yet
                return []
            return [str(item) for item in value] if isinstance(value, list) else []

        try:
            source = tuple(source)
            if not source:
                source = (*values("run:source"), *values("run:source_pkgs"), *values("run:source_dirs"))
                named_by = f"{rcfile_named_by}: source in [run] of {rcfile}"
            include = () if source else values("run:include")
            path = os.path.abspath(rcfile)
            return cls(source, include=include, omit=values("run:omit"), rcfile=path, named_by=named_by)
        finally:
            coveragepy.close_data(config.get_data())

    def locate(self, filename: str) -> SourceFile | None:
        """The application's file of that name, or None for all other files. Answers are cached."""
        try:
            return self._located[filename]
        except KeyError:
            found = self._located[filename] = self._locate(filename)
            return found

    def follow_links(self) -> bool:
        """Look where the entries lead now. Returns whether that has changed."""
        places = tuple(place.followed() for place in self._places)
        if all(before is after for before, after in zip(self._places, places, strict=True)):
            return False
        self._former_roots = tuple(dict.fromkeys((*self.roots, *self._former_roots)))
        self._places, self.roots = places, tuple(place.root for place in places)
        # code that was loaded by a name that has led to a file is that file's
        self._located = {name: file for name, file in self._located.items() if file is not None}
        return True

    def files(self) -> Iterator[SourceFile]:
        """Every file of the tree, each once, sorted by path below its root.

        Raises:
            ConfigurationError: there is none.
        """
        self.follow_links()
        seen: set[str] = set()
        for root in self.roots:
            for filename in sorted(python_files(root.folder)):
                file = self.locate(filename)
                if file is not None and file.filename not in seen:
                    seen.add(file.filename)
                    yield file
        if not seen:
            raise ConfigurationError(
                f"{self._named_by}: source {', '.join(self._entries)}: no Python file matches; "
                "expected the application's packages or folders"
            )

    def _locate(self, filename: str) -> SourceFile | None:
        if not filename.endswith((".py", ".pyw")) or filename.startswith("<"):
            return None
        self.follow_links()
        real = os.path.realpath(filename)
        for root in (*self.roots, *self._former_roots):
            if not is_own(real, root.folder):
                continue
            if self._include is not None and not self._include.match(real):
                return None
            if self._omit is not None and self._omit.match(real):
                return None
            path = _strip_src(Path(os.path.relpath(real, root.import_root)), root.import_root)
            return SourceFile(real, encodable(path.as_posix()), encodable(module_name(path)))
        return None


def encodable(text: str) -> str:
    """``text`` with its surrogates, which bytes of undecodable file names become, written out as ``\\udce9``."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _matcher(patterns: Iterable[str], name: str) -> GlobMatcher | None:
    patterns = tuple(patterns)
    if not patterns:
        return None
    from coverage.files import GlobMatcher, prep_patterns  # which a process without patterns does not need

    return GlobMatcher(prep_patterns(patterns), name)


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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an entry of ``source`` leads.

    Attributes:
        location: the path that was named, or where the package was found, symbolic links in it as they are.
        depth: the number of packages around it.
        identity: device and inode of what was there.
        root: what that is.
    """

    location: str
    depth: int | None
    identity: tuple[int, int]
    root: SourceRoot

    @classmethod
    def of(cls, entry: str, named_by: str) -> _Place:
        if Path(entry).exists():
            return cls._at(entry if os.path.isabs(entry) else os.path.join(working_folder(), entry), None)
        location = _package_location(entry)
        if location is None or not os.path.exists(location):
            raise ConfigurationError(
                f"{named_by}: source {entry!r}: neither a folder or file in {os.getcwd()} nor an importable package"
            )
        return cls._at(location, len(entry.split(".")) - 1)

    @classmethod
    def _at(cls, location: str, depth: int | None) -> _Place:
        found = os.stat(location)
        return cls(location, depth, (found.st_dev, found.st_ino), _root_at(location, depth))

    def followed(self) -> _Place:
        """Where the entry leads now: the place itself where nothing has changed, or nothing is there."""
        try:
            found = os.stat(self.location)
            if (found.st_dev, found.st_ino) == self.identity:
                return self
            return self._at(self.location, self.depth)
        except OSError:
            return self


def working_folder() -> str:
    """The working directory, with the symbolic links through which it was entered, where the environment has them."""
    entered = os.environ.get("PWD", "")
    try:
        if os.path.isabs(entered) and os.path.samefile(entered, os.curdir):
            return entered
    except OSError:
        pass
    return os.getcwd()


def _root_at(location: str, depth: int | None) -> SourceRoot:
    """The root of a folder or file, or of a package below ``depth`` others."""
    real = Path(os.path.realpath(location))
    if depth is not None:
        import_root = real.parent
        for _ in range(depth):
            import_root = import_root.parent
        return SourceRoot(str(real), str(import_root))
    import_root = real if real.is_dir() else real.parent
    while (import_root / "__init__.py").exists() and import_root != import_root.parent:
        import_root = import_root.parent
    return SourceRoot(str(real), str(import_root))


def _package_location(name: str) -> str | None:
    """Where the package or module lies, found without importing anything."""
    search: list[str] | None = [os.getcwd(), *sys.path]
    location: str | None = None
    for part_count in range(1, len(name.split(".")) + 1):
        dotted = ".".join(name.split(".")[:part_count])
        try:
            spec = importlib.machinery.PathFinder.find_spec(dotted, search) or _editable_spec(dotted, search)
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


def _editable_spec(name: str, search: list[str] | None) -> ModuleSpec | None:
    """What finders say that installers of editable packages put there: setuptools, editables, scikit-build, meson."""
    for finder in list(sys.meta_path):
        kind = finder if isinstance(finder, type) else type(finder)
        find = getattr(finder, "find_spec", None)
        if find is not None and "editable" in f"{kind.__module__}.{kind.__qualname__}".lower():
            spec: ModuleSpec | None = find(name, search if "." in name else None)
            if spec is not None:
                return spec
    return None


def python_files(folder: str) -> Iterator[str]:
    """The Python files below a folder, or the one file, that may be the application's own."""
    if os.path.isfile(folder):
        yield folder
        return
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_foreign(os.path.join(here, name))]
        yield from (os.path.join(here, name) for name in names if name.endswith((".py", ".pyw")))


def is_own(filename: str, root: str) -> bool:
    """Whether the file lies below ``root``, in no foreign folder on the way, or is ``root`` itself."""
    if filename == root:
        return True
    if not filename.startswith(root.rstrip(os.sep) + os.sep):
        return False
    folder = os.path.dirname(filename)
    while folder != root:
        if is_foreign(folder):
            return False
        folder = os.path.dirname(folder)
    return True


def is_foreign(folder: str) -> bool:
    """Folders below a source root whose files are never the application's own: installed, hidden or generated ones."""
    name = os.path.basename(folder)
    return (
        name in ("site-packages", "dist-packages", "__pycache__", "node_modules")
        or name.startswith(".")
        or folder in ("/dev", "/proc", "/sys")
        or os.path.exists(os.path.join(folder, "pyvenv.cfg"))
    )
