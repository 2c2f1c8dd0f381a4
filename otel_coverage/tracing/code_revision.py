"""The revision of the code that this process has loaded, whatever lies in its folders by now.

A process may load code long after its revision was determined, by itself or by the process that forked it: a work horse
of RQ imports what was deployed meanwhile. So files are looked at when the revision is determined, and each file of the
application's once more when it is imported. Where all that was imported is as it was, the revision holds. Where
something is not, it is determined anew; and where no revision describes all that is loaded, entries are incomplete.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from typing import Any, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from otel_coverage.loaded import loaded
from otel_coverage.recording import Incomplete
from otel_coverage.revision import UNKNOWN, revision_of
from otel_coverage.settings import Settings
from otel_coverage.source import SourceFile, SourceTree, python_files, working_folder
from otel_coverage.tracing.log import log, logger

_ATTEMPTS = 5
_MOST_FILES = 20_000  # a process should not begin by looking at the whole file system
_MOST_SECONDS = 5.0

VERSION = "service.version"
REVISION = "vcs.ref.head.revision"


class _Stamp(NamedTuple):
    """What distinguishes a file from what it was before, and from another of its name in another folder."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, path: str) -> _Stamp:
        found = os.stat(path)
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class CodeRevision:
    """The revision of the code that this process has loaded.

    Args:
        settings: say where the source is.
        given: the revision that the resource names; empty to ask git.

    Raises:
        ConfigurationError: the source cannot be found.

    Attributes:
        name: the revision; ``unknown`` where nobody knows it.
    """

    def __init__(self, settings: Settings, given: str = "") -> None:
        self._tree = SourceTree.of(settings, working_folder())
        self._given = given
        self._imported: list[tuple[str, _Stamp]] = []  # and not looked at yet
        self._loaded: dict[_Stamp, str] = {}  # with the files' names, links resolved
        self._problem: Incomplete | None = None
        self._is_determining = False
        self._own_folders: dict[str, bool] = {}
        self._lock = threading.RLock()  # a signal handler may end an entry, too
        self._pid = os.getpid()
        self.name, self._described = self._determine()
        for module in list(sys.modules.values()):
            with suppress(Exception):  # modules may be any object
                self.note(str(module.__file__))
        self.check()  # forked children need not

    def note(self, path: str) -> None:
        """The file is imported now. Never raises."""
        with suppress(OSError, ValueError):
            self._imported.append((path, _Stamp.of(path)))

    def check(self) -> Incomplete | None:
        """Look at what was imported since the last time, and determine the revision anew where that is necessary.

        Never raises. Costs nothing where nothing was imported.

        Returns:
            Why no revision describes what this process has loaded; None where one does.
        """
        if self._pid != os.getpid() and (self._imported or self._is_determining):
            # a forked child: threads of its parent hold nothing here
            self._pid, self._lock, self._is_determining = os.getpid(), threading.RLock(), False
        if self._is_determining and _has_greenlets():  # they run while git does, and a lock may block them for ever
            return Incomplete("revision_changing", "code was loaded whose revision was not known yet")
        if self._imported or self._is_determining:
            try:
                with self._lock:
                    self._examine()
            except Exception as error:
                log.failed("determining the revision", error)
                self._problem = Incomplete("revision_failed", f"the revision could not be determined: {error}")
        return self._problem

    def check_files(self) -> Incomplete | None:
        """For engines that read names from files rather than from the code itself: whether these are as they were.

        Never raises.

        Returns:
            Why names may be those of other code; None where every file is as it was when it was loaded.
        """
        for stamp, filename in list(self._loaded.items()):
            with suppress(OSError):
                if _Stamp.of(filename) == stamp:
                    continue
            return Incomplete(
                "source_changed",
                f"{filename} was changed after it had been loaded, and engine 'coverage' reads names from it:"
                " restart the process",
            )
        return None

    def _examine(self) -> None:
        if self._described is None:
            self._imported.clear()
            return
        strange = ""
        if self._tree.follow_links():
            self._own_folders.clear()
        while self._imported:
            path, stamp = self._imported.pop()
            file = self._locate(path)
            if file is not None:
                self._loaded[stamp] = file.filename
                if stamp not in self._described:
                    strange = path
        if not strange or self._problem is not None:
            return
        self._is_determining = True
        try:
            name, described = self._determine()
        finally:
            self._is_determining = False
        if self._given and self._given != UNKNOWN:
            self._problem = Incomplete(
                "revision_changed",
                f"{strange} was changed after the process had started with the revision {self._given} by configuration:"
                " restart it, rather than reload it, when code is deployed",
            )
        elif described is not None and self._loaded.keys() <= described:
            self.name, self._described = name, described
        elif described is not None and name == self.name != UNKNOWN:
            self._described |= described  # the same contents, written once more
        else:
            self._problem = Incomplete(
                "mixed_revisions",
                f"the process has loaded code of {self.name} and, with {strange}, of {name}: restart it",
            )

    def _determine(self) -> tuple[str, set[_Stamp] | None]:
        """The revision of what lies in the folders now, and the files that it describes; None for too many files."""
        self._tree.follow_links()
        token = otel_context.attach(Context())  # git belongs to no request
        try:
            for _ in range(_ATTEMPTS):
                described = self._stamps()
                name = self._given or revision_of([root.folder for root in self._tree.roots]) or UNKNOWN
                if self._given or described is None or self._stamps() == described:
                    return name, described
        finally:
            otel_context.detach(token)
        return name, set()  # files change all the time: nothing that is loaded is known to be described

    def _stamps(self) -> set[_Stamp] | None:
        found: set[_Stamp] = set()
        deadline = time.monotonic() + _MOST_SECONDS
        for root in self._tree.roots:
            for path in python_files(root.folder):
                with suppress(OSError):
                    found.add(_Stamp.of(path))
                if len(found) > _MOST_FILES or time.monotonic() > deadline:
                    logger.warning(
                        "coverage: the source %s has so many files that a change of them below a running process is not"
                        " noticed; OTEL_COVERAGE_SOURCE is to name the application's folders",
                        root.folder,
                    )
                    return None
        return found

    def _locate(self, path: str) -> SourceFile | None:
        """The application's file of that name; most are libraries', in a few folders."""
        folder = os.path.dirname(path)
        is_near = self._own_folders.get(folder)
        if is_near is None:
            real = os.path.join(os.path.realpath(folder), "")
            roots = [os.path.join(root.folder, "") for root in self._tree.roots]
            is_near = any(real.startswith(root) or root.startswith(real) for root in roots)
            self._own_folders[folder] = is_near
        return self._tree.locate(path) if is_near or os.path.islink(path) else None


def _has_greenlets() -> bool:
    is_patched = loaded("gevent.monkey", "is_module_patched")
    return is_patched is not None and bool(is_patched("threading"))


_installed: CodeRevision | None = None
_path_stats = SourceFileLoader.path_stats


def install(settings: Settings, given: str = "") -> CodeRevision:
    """The process's, made where there is none yet, and notified of imports from now on.

    Raises:
        ConfigurationError: the source cannot be found.
    """
    global _installed
    if _installed is None:
        _installed = CodeRevision(settings, given)
        SourceFileLoader.path_stats = _noted_path_stats  # type: ignore[assignment, method-assign]
    return _installed


def check(*, files: bool) -> Incomplete | None:
    """See :meth:`CodeRevision.check` and, with ``files``, ``check_files``; None where nothing is recorded."""
    code = _installed
    if code is None:
        return None
    return code.check() or (code.check_files() if files else None)


def uninstall() -> None:
    """Forget the process's."""
    global _installed
    _installed = None
    if SourceFileLoader.path_stats is _noted_path_stats:
        SourceFileLoader.path_stats = _path_stats  # type: ignore[method-assign]


def _noted_path_stats(loader: SourceFileLoader, path: str) -> Any:
    """``SourceFileLoader.path_stats``, which is called for each source file just before it is loaded."""
    code = _installed
    if code is not None:
        code.note(path)
    return _path_stats(loader, path)
