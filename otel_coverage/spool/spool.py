"""Appending to a spool: one file for a process and its forked children."""

from __future__ import annotations

import math
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from otel_coverage.errors import ConfigurationError
from otel_coverage.spool import spool_file
from otel_coverage.spool.folder import identity, is_open, make_private
from otel_coverage.tracing.forks import ProcessState
from otel_coverage.tracing.log import log

MAX_BYTES = 256 * 1024 * 1024
MAX_AGE = 7 * 24 * 3600.0  # seconds

_SUFFIXES = (spool_file.SUFFIX, spool_file.REFUSED_SUFFIX)
_LOCK_SECONDS = 0.5  # then a process takes a file of its own
_COUNT_SECONDS = 1.0
_SEGMENT = 16 * 1024 * 1024  # bytes of a file, after which its owner begins another: disk space is freed in files


class Spool(ProcessState):
    """Keeps serialized requests in a folder until a sender has sent them. Safe to use from any thread, across forks.

    A forked child appends to the file that its parent has opened. Nothing is created before the first request.

    Args:
        folder: the private folder; None where there is none, and nothing is kept.
        max_bytes: what all files in it may hold.
        max_age: seconds that a request is kept.
        sync: whether a request is on the disk when it counts as kept, or may be lost when the power fails.
    """

    def __init__(
        self, folder: Path | None, *, max_bytes: int = MAX_BYTES, max_age: float = MAX_AGE, sync: bool = False
    ) -> None:
        self.folder = folder if spool_file.is_supported() else None
        self.max_bytes = max_bytes
        self.max_age = max_age
        self.sync = sync
        self._fd: int | None = None
        self._identity = (0, 0)  # of the file
        self._owner = 0
        self._counted = (-math.inf, 0)  # when the folder's bytes were counted, and how many there were
        self._check_process()

    def open(self) -> bool:
        """Open the file that this process, and children forked from now on, append to. Never raises.

        Returns:
            Whether there is one.
        """
        try:
            self._check_process()
            with self._lock:
                fd = self._opened()
                if fd is not None and self._is_full(fd):
                    self._close()
                    fd = self._opened()
                self._held_bytes()  # children forked in a moment need not
                return fd is not None
        except (OSError, ConfigurationError) as error:
            log.warn("spool_failures", "coverage: spans cannot be kept in %s: %s", self.folder, error)
            return False

    def append(self, request: bytes) -> bool:
        """Keep a serialized ``ExportTraceServiceRequest``. Never raises.

        Returns:
            Whether it is kept; not where there is no spool, or no room in it.
        """
        try:
            self._check_process()
            with self._lock:
                return self._append(request)
        except (OSError, ConfigurationError) as error:
            log.warn("spool_failures", "coverage: spans cannot be kept in %s: %s", self.folder, error)
        except Exception as error:
            log.failed("keeping spans in the spool", error)
        return False

    def unsent_bytes(self) -> int:
        """Bytes that lie in the folder and were not acknowledged.

        Raises:
            OSError: the folder cannot be read.
        """
        if self.folder is None or not self.folder.exists():
            return 0
        self._check_process()
        with self._lock:
            return spool_file.unsent_bytes(self.folder, self._fd)

    def _append(self, request: bytes) -> bool:
        if self.folder is None:
            return False
        for _ in range(3):
            fd = self._opened()
            if fd is None:
                return False
            try:
                with spool_file.append_lock(fd, _LOCK_SECONDS):
                    found = os.fstat(fd)
                    if found.st_nlink:
                        if not self._has_room(len(request)):
                            return False
                        spool_file.append(fd, request, found.st_size)
            except TimeoutError:
                self._close()
                continue
            if not found.st_nlink:  # it was removed after its owner had ended
                self._close()
                continue
            if self.sync:
                os.fdatasync(fd)
            if self._owner == os.getpid() and self._is_full(fd):
                self._close()
            return True
        return False

    def _opened(self) -> int | None:
        if self._fd is not None and not is_open(self._fd, self._identity):
            self._leave()
        if self._fd is None and self.folder is not None:
            make_private(self.folder)
            self._fd = spool_file.create(self.folder)
            self._identity = identity(self._fd)
            self._owner = os.getpid()
        return self._fd

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _leave(self) -> None:
        """Close the file that was removed, unless its descriptor is that of another one by now."""
        with suppress(OSError):
            if self._fd is not None and identity(self._fd) == self._identity:
                os.close(self._fd)
        self._fd = None

    def _has_room(self, size: int) -> bool:
        if self.folder is None:
            return False
        held = self._held_bytes() + size
        if held <= self.max_bytes // 2:
            self._counted = (self._counted[0], held)
            return True
        held = bytes_in(self.folder)
        if held + size <= self.max_bytes:
            return True
        log.warn(
            "spool_full",
            "coverage: the spool %s is full (%d of %d bytes), spans are lost; is the collector running?",
            self.folder,
            held,
            self.max_bytes,
        )
        return False

    def _held_bytes(self) -> int:
        """The bytes that the folder held some moments ago: who has half of it left need not count at every append."""
        counted, held = self._counted
        if self.folder is not None and time.monotonic() - counted > _COUNT_SECONDS:
            held = bytes_in(self.folder)
            self._counted = (time.monotonic(), held)
        return held

    def _is_full(self, fd: int) -> bool:
        return os.fstat(fd).st_size > min(_SEGMENT, self.max_bytes // 4)

    def _begin_process(self) -> None:
        self._lock = threading.Lock()


def bytes_in(folder: Path) -> int:
    """The bytes that requests occupy in the folder."""
    with os.scandir(folder) as entries:
        return sum(
            _size(entry) for entry in entries if entry.name.endswith((spool_file.SUFFIX, spool_file.REFUSED_SUFFIX))
        )


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
