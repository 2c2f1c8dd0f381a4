"""What processes of a service had to give up, in a file that has its room from the beginning.

A process counts what it gives up, and reports that with the next span that is kept. One that ends while the spool is
full, or its disk, keeps no span any more: so it notes the counts here, and who drains the spool reports them. The file
is written while there is room, and is never larger. It has a slot for each playback and process, changed under a lock;
where all are in use, a process shares the slot that another one has for the same playback: at least so many are lost.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from otel_coverage.spool.folder import make_private, write_privately
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import Playback

try:
    import fcntl
except ImportError:  # Windows, which has no spool
    fcntl = None  # type: ignore[assignment]

NAME = "lost"

_SLOT = 512  # bytes
_SLOTS = 512
_SIZE = _SLOT * (1 + _SLOTS)  # the first one holds how often the file was changed
_CHANGES = struct.Struct("<Q")
_HEADER = struct.Struct("<II")  # CRC-32 of the text, and its length: zero where the slot is free
_LOCK_SECONDS = 0.5
_SEPARATOR = "\x1f"


class LostCount(NamedTuple):
    """What a process has given up of a playback.

    Attributes:
        playback: whose spans they were.
        process: the ``coverage.process`` of the process.
        dropped: how many spans, so far.
        resource: the name of what describes the process, see :meth:`~otel_coverage.spool.begun.Slots.describe`.
    """

    playback: Playback
    process: str
    dropped: int
    resource: str = ""


class LostCounts:
    """The counts of one folder. Safe to use from any thread and process; keeps nothing open.

    Args:
        folder: the spool's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / NAME

    def open(self) -> None:
        """See to it that there is room. Never raises."""
        try:
            if not self._path.exists():
                make_private(self._folder)
                write_privately(self._path, bytes(_SIZE))
        except Exception as error:
            log.warn("lost_counts", "coverage: no room in %s to note what is lost: %s", self._folder, error)

    def note(self, counts: Sequence[LostCount]) -> bool:
        """Note how much processes have given up so far. Never raises.

        Returns:
            Whether all of it is noted: the file may be missing, or have no free slot.
        """
        try:
            with self._locked() as fd:
                slots = _read(fd)
                noted = [_put(fd, slots, count) for count in counts]
                _changed(fd)
            if not all(noted):
                log.warn("lost_counts", "coverage: no slot is free to note what is lost in %s", self._folder)
            return all(noted)
        except FileNotFoundError:
            return False  # there was no room for it either
        except Exception as error:
            log.failed("noting what is lost", error)
            return False

    def changes(self) -> int:
        """How often it was changed: a number that is cheap to read. 0 while the file does not exist.

        Raises:
            OSError: it cannot be read.
        """
        try:
            with self._path.open("rb", buffering=0) as file:
                data = file.read(_CHANGES.size)
        except FileNotFoundError:
            return 0
        return int(_CHANGES.unpack(data)[0]) if len(data) == _CHANGES.size else 0

    def read(self) -> list[LostCount]:
        """What is noted.

        Raises:
            OSError: it cannot be read.
            TimeoutError: another process has locked it.
        """
        try:
            with self._locked() as fd:
                return [count for count in _read(fd) if count is not None]
        except FileNotFoundError:
            return []

    def reported(self, counts: Sequence[LostCount]) -> None:
        """These are in the store: they go, unless there is more of them by now.

        Raises:
            OSError: it cannot be written to.
            TimeoutError: another process has locked it.
        """
        with self._locked() as fd:
            for number, count in enumerate(_read(fd)):
                if count in counts:
                    os.pwrite(fd, bytes(_HEADER.size), _position(number))

    @contextmanager
    def _locked(self) -> Iterator[int]:
        fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            deadline = time.monotonic() + _LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"another process has locked {self._path} for {_LOCK_SECONDS} s") from None
                    time.sleep(0.001)
            yield fd  # the lock goes with the descriptor
        finally:
            os.close(fd)


def _read(fd: int) -> list[LostCount | None]:
    data = os.pread(fd, _SIZE, 0)
    return [_parsed(data[at : at + _SLOT]) for at in range(_SLOT, len(data), _SLOT)]


def _parsed(slot: bytes) -> LostCount | None:
    checksum, length = _HEADER.unpack_from(slot)
    text = slot[_HEADER.size : _HEADER.size + length]
    if not length or zlib.crc32(text) != checksum:  # one that was killed as it wrote
        return None
    profile, run_id, process, dropped, resource = text.decode().split(_SEPARATOR)
    return LostCount(Playback(profile, run_id), process, int(dropped), resource)


def _put(fd: int, slots: list[LostCount | None], count: LostCount) -> bool:
    """Write a count into its slot. Returns whether there is one."""
    same = [(at, each) for at, each in enumerate(slots) if each is not None and each.playback == count.playback]
    own = [at for at, each in same if each.process == count.process]
    if own or None in slots:
        number, written = own[0] if own else slots.index(None), count
    elif same:
        number, other = same[0]
        written = other._replace(dropped=max(other.dropped, count.dropped))
    else:
        return False
    playback, process, dropped, resource = written
    text = _SEPARATOR.join((*playback, process, str(dropped), resource)).encode()
    os.pwrite(fd, _HEADER.pack(zlib.crc32(text), len(text)) + text, _position(number))
    slots[number] = written
    return True


def _changed(fd: int) -> None:
    (changes,) = _CHANGES.unpack(os.pread(fd, _CHANGES.size, 0))
    os.pwrite(fd, _CHANGES.pack(changes + 1), 0)


def _position(number: int) -> int:
    return _SLOT * (1 + number)
