"""What processes have begun and not yet handed on, in a file that outlives them.

The file is mapped into memory by all processes of a spool. It has regions of slots. Who uses a region holds a lock on
it, one of POSIX, which ends with the process. A slot is written, without a system call, when an entry begins, once more
when its span starts, whose trace is known then, and is cleared when that was acknowledged or lies in the spool. What is
still set in a region that nobody holds was begun by a process that was killed: who drains the spool makes a span of it.

A slot has room for two notes. Its header, eight bytes that are stored at once, says which of them holds: whenever the
process is killed, the slot has the one or the other.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import threading
import zlib
from collections.abc import Hashable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from otel_coverage.spool.folder import identity, is_open, make_private, write_privately
from otel_coverage.tracing.export.encoding import encode_resource
from otel_coverage.tracing.forks import ProcessState
from otel_coverage.tracing.log import log

try:
    import fcntl
except ImportError:  # Windows, where there is no spool
    fcntl = None  # type: ignore[assignment]

NAME = "begun"
RESOURCE_SUFFIX = ".resource"
REVISION = "vcs.ref.head.revision"

_SLOT = 1024  # bytes
_SLOTS = 16  # of a region
_REGION = _SLOT * _SLOTS
_REGIONS = 1024
_SIZE = _REGION * _REGIONS  # of the file, which has holes where nothing was written
_LOCKS = 1 << 40  # the first region's byte; no data lies there

_HEADER = struct.Struct("<IHH")  # CRC-32 of the note, its length (zero where the slot is free), and where it begins
_NOTE = (_SLOT - _HEADER.size) // 2  # bytes of a note, of which the last is the name: it may be cut
_SEPARATOR = "\x1f"


class Begun(NamedTuple):
    """An entry that was begun. All are texts, of which the ids are hexadecimal; empty where unknown.

    Attributes:
        role: the ``coverage.role`` of its span.
        profile: of its playback.
        run_id: of its playback.
        trace_id: its trace; until its span has started, only where a header names one.
        parent_id: the span that caused it.
        span_id: its own span, once that has started.
        process: the ``coverage.process`` of its process.
        pid: of its process.
        start: nanoseconds since the epoch.
        resource: the name of what describes its process, see :meth:`Slots.describe`.
        name: what is known of it: method and path, or job.
    """

    role: str
    profile: str
    run_id: str
    trace_id: str
    parent_id: str
    span_id: str
    process: str
    pid: str
    start: str
    resource: str
    name: str


class Slots(ProcessState):
    """The slots of this process. Safe to use from any thread, across forks: a child takes a region of its own.

    Args:
        folder: the spool's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd = -1
        self._identity = (0, 0)
        self._earlier: list[mmap.mmap] = []
        self._map: mmap.mmap | None = None
        self._described: tuple[str, str] | None = None  # the revision, and the name
        self._check_process()

    def open(self) -> bool:
        """Map the file, and hold a region, so that this process is known to live. Never raises.

        Returns:
            Whether there is one.
        """
        try:
            self._check_process()
            with self._lock:
                if self._map is not None and not is_open(self._fd, self._identity):
                    self._open_anew()
                return bool(self._regions) or self._take_region()
        except Exception as error:
            log.failed("noting what was begun", error)
            return False

    def describe(self, resource: Resource) -> str:
        """Keep what describes this process, for the spans of what it has begun. Returns its name. Never raises.

        A forked child is described as its parent is, unless it has loaded code of another revision.
        """
        try:
            revision = getattr(resource, "revision", None) or str((resource.attributes or {}).get(REVISION))
            if self._described is not None and self._described[0] == revision:
                return self._described[1]
            data = encode_resource(resource)
            name = sha256(data).hexdigest()[:16]
            self._described = (revision, name)
            make_private(self._folder)
            path = self._folder / f"{name}{RESOURCE_SUFFIX}"
            if not path.exists():
                write_privately(path, data)
            return name
        except Exception as error:
            log.failed("keeping what describes this process", error)
            return ""

    def begin(self, entry: Hashable, begun: Begun) -> bool:
        """An entry began, whose span has not started yet. Returns whether that is noted. Never raises.

        Args:
            entry: what is to be given to :meth:`start` or :meth:`forget`.
            begun: what is known of it.
        """
        return self._note(entry, entry, begun)

    def start(self, entry: Hashable, span_id: int, begun: Begun) -> bool:
        """The span of an entry has started, whether or not :meth:`begin` has noted the entry. Never raises.

        Returns:
            Whether that is noted: not where there is no slot.
        """
        return self._note(entry, span_id, begun)

    @property
    def described(self) -> str:
        """The name of what describes this process, as far as :meth:`describe` knows; else empty."""
        return "" if self._described is None else self._described[1]

    def forget(self, entry: Hashable) -> None:
        """The entry has ended without a span. Never raises."""
        self._check_process()
        try:
            self._clear(entry)
        except Exception as error:
            log.failed("noting what has ended", error)

    def settled(self, spans: Iterable[ReadableSpan]) -> None:
        """The spans were acknowledged, or lie in the spool. Never raises."""
        self._check_process()
        if not self._in_use:
            return
        try:
            for span in spans:
                if span.context is not None:
                    self._clear(span.context.span_id)
        except Exception as error:
            log.failed("noting what was handed on", error)

    def _note(self, entry: Hashable, key: Hashable, begun: Begun) -> bool:
        try:
            text = _SEPARATOR.join(begun).encode("utf-8", "replace")[:_NOTE]
            self._check_process()
            with self._lock:
                before = self._in_use.pop(entry, None)
                if before is not None:
                    at, offset = before
                    offset = _HEADER.size + _NOTE if offset == _HEADER.size else _HEADER.size
                elif self._free or self._take_region():
                    at, offset = self._free.pop(), _HEADER.size
                else:
                    return False
                self._in_use[key] = at, offset
            if self._map is None:
                return False
            self._write(at, offset, text)
            return True
        except Exception as error:
            log.failed("noting what was begun", error)
            return False

    def _clear(self, key: Hashable) -> None:
        found = self._in_use.pop(key, None)
        if found is not None and self._map is not None:
            at, _ = found
            self._map[at : at + _HEADER.size] = bytes(_HEADER.size)
            with self._lock:
                self._free.append(at)

    def _take_region(self) -> bool:
        if self._map is None:
            make_private(self._folder)
            self._fd = _opened(self._folder)
            self._identity = identity(self._fd)
            self._map = mmap.mmap(self._fd, _SIZE)
        for number in range(_REGIONS):
            if number in self._regions or not _try_lock(self._fd, number):
                continue
            if not self._allocate(number):
                _unlock(self._fd, number)
                return False
            offsets = range(number * _REGION, (number + 1) * _REGION, _SLOT)
            free = [at for at in offsets if self._map[at : at + _HEADER.size] == bytes(_HEADER.size)]
            if len(free) == _SLOTS:
                self._regions.append(number)
                self._free.extend(reversed(free))
                return True
            _unlock(self._fd, number)  # it is of a process that was killed: for who drains
        log.warn("begun_full", "coverage: no slot is free to note what is begun in %s", self._folder)
        return False

    def _open_anew(self) -> None:
        """Note what is begun in a new file: somebody has deleted the one that was mapped, or closed its descriptor.

        In the latter case it is the same file. The mapping has a descriptor of its own, with which all locks on the
        file would go: so it stays.
        """
        before, in_use = self._map, self._in_use
        if before is None:
            return
        self._earlier.append(before)
        self._map, self._described = None, None
        self._hold_nothing()
        for key, (at, offset) in in_use.items():
            _, length, _ = _HEADER.unpack_from(before, at)
            if self._free or self._take_region():
                slot = self._free.pop()
                self._in_use[key] = slot, _HEADER.size
                self._write(slot, _HEADER.size, before[at + offset : at + offset + length])
                before[at : at + _HEADER.size] = bytes(_HEADER.size)  # the file is still there where only a lock went

    def _write(self, at: int, offset: int, text: bytes) -> None:
        if self._map is not None:
            self._map[at + offset : at + offset + len(text)] = text
            # last: a slot without it counts as empty
            self._map[at : at + _HEADER.size] = _HEADER.pack(zlib.crc32(text), len(text), offset)

    def _allocate(self, number: int) -> bool:
        """Have room for a region: a hole of a full disk, written to through memory, ends the process (SIGBUS).

        In a file system in memory reading it does, too.
        """
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._fd, number * _REGION, _REGION)
            else:
                os.pwrite(self._fd, bytes(_REGION), number * _REGION)
        except OSError as error:
            log.warn("begun_full", "coverage: there is no room in %s to note what is begun: %s", self._folder, error)
            return False
        return True

    def _begin_process(self) -> None:
        self._lock = threading.Lock()
        self._hold_nothing()

    def _hold_nothing(self) -> None:
        self._free: list[int] = []
        self._regions: list[int] = []
        self._in_use: dict[Hashable, tuple[int, int]] = {}  # offsets of the slot and in it, by the entry or its span


_in_use: Slots | None = None


def use(slots: Slots | None) -> None:
    """Have :func:`settled` clear these slots; None for none."""
    global _in_use
    _in_use = slots


def settled(spans: Iterable[ReadableSpan]) -> None:
    """The spans were acknowledged, or lie in the spool: they need not be reported as begun. Never raises."""
    if _in_use is not None:
        _in_use.settled(spans)


def is_anyone_alive(folder: Path) -> bool:
    """Whether a process holds a region. Never to be asked by one that does: it would give up its own."""
    try:
        fd = _opened(folder, create=False)
    except OSError:
        return False
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, _REGIONS, _LOCKS, os.SEEK_SET)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        return True
    finally:
        os.close(fd)
    return False


def take_abandoned(folder: Path) -> Iterator[Begun]:
    """What processes had begun that are gone; each is cleared once the caller asks for the next one.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        fd = _opened(folder, create=False)
    except FileNotFoundError:
        return
    try:
        for number in _written_regions(fd):
            if not _try_lock(fd, number):
                continue
            region = os.pread(fd, _REGION, number * _REGION)
            for offset in range(0, len(region) if any(region) else 0, _SLOT):
                slot, at = region[offset : offset + _SLOT], number * _REGION + offset
                checksum, length, begin = _HEADER.unpack_from(slot)
                if not length:
                    continue
                text = slot[begin : begin + length]
                fields = text.decode("utf-8", "replace").split(_SEPARATOR)
                if zlib.crc32(text) == checksum and len(fields) == len(Begun._fields):
                    yield Begun(*fields)
                os.pwrite(fd, bytes(_HEADER.size), at)
            _unlock(fd, number)
    finally:
        os.close(fd)


def _written_regions(fd: int) -> Iterator[int]:
    """Those in which anything was ever written."""
    at = 0
    while True:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
            end = os.lseek(fd, at, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        yield from range(at // _REGION, min(-(-end // _REGION), _REGIONS))
        at = -(-end // _REGION) * _REGION


def _opened(folder: Path, *, create: bool = True) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
    fd = os.open(folder / NAME, flags, 0o600)
    if os.fstat(fd).st_size < _SIZE:
        os.ftruncate(fd, _SIZE)
    return fd


def _try_lock(fd: int, region: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LOCKS + region, os.SEEK_SET)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True


def _unlock(fd: int, region: int) -> None:
    fcntl.lockf(fd, fcntl.LOCK_UN, 1, _LOCKS + region, os.SEEK_SET)
