"""One file of a spool: a position, then frames with messages. Appended to by processes, drained by one sender.

The file begins with a frame of kind ``POSITION``, which holds up to where its messages were acknowledged, and is
rewritten in place. Who changes the file's length holds the append lock. Locks are those of POSIX, on bytes far behind
the end: they belong to a process, so that forked children with the same descriptor exclude each other, and end with it.
"""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otel_coverage.framing import HEADER_BYTES, Damage, Frame, framed, read_frames

try:
    import fcntl
except ImportError:  # Windows, where there is no spool
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".spool"
REFUSED_SUFFIX = ".refused"  # of a file with what the receiver will never accept
REQUEST = 1  # kind of a frame: a serialized ExportTraceServiceRequest
POSITION = 2  # kind of the first frame: an offset

_POSITION = struct.Struct("<Q")
START = HEADER_BYTES + _POSITION.size
"""Where the messages begin."""

_APPEND_BYTE = 1 << 40
_OWNER_BYTE = _APPEND_BYTE + 1
_WINDOW = 8 * 1024 * 1024  # bytes read at once, unless one message has more


def is_supported() -> bool:
    """Whether this system has the locks that a spool needs."""
    return fcntl is not None


def create(folder: Path, suffix: str = SUFFIX) -> int:
    """Create a file for this process, and own it. Returns its descriptor.

    Raises:
        OSError: there is no folder, or no room.
    """
    path = folder / f"{time.time_ns():020d}-{os.getpid()}{suffix}"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(path, flags, 0o600)
    try:
        # before it is a file with a header a sender takes it for one that was abandoned, and lets it be
        own(fd)
        os.write(fd, _header(START))
    except BaseException:
        os.close(fd)
        os.unlink(path)
        raise
    return fd


def own(fd: int) -> bool:
    """Keep the file from being removed for as long as this process lives. Returns whether nobody else does."""
    return _try_lock(fd, _OWNER_BYTE)


def _header(position: int) -> bytes:
    return framed(_POSITION.pack(position), kind=POSITION)


@contextmanager
def append_lock(fd: int, timeout: float) -> Iterator[None]:
    """Be the only process that appends to the file or cuts it.

    Raises:
        TimeoutError: another one has been that for ``timeout`` seconds.
    """
    if not _try_lock(fd, _APPEND_BYTE):
        deadline = time.monotonic() + timeout
        while not _try_lock(fd, _APPEND_BYTE):
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process has locked a file of the spool for {timeout} s")
            time.sleep(0.0005)
    try:
        yield
    finally:
        fcntl.lockf(fd, fcntl.LOCK_UN, 1, _APPEND_BYTE, os.SEEK_SET)


def append(fd: int, message: bytes, size: int) -> None:
    """Append a message. The caller holds the lock, and knows the file's size.

    Raises:
        OSError: there is no room; the file is as it was.
    """
    data = framed(message, kind=REQUEST, number=time.time_ns())
    try:
        written = os.write(fd, data)
    except OSError:
        os.ftruncate(fd, size)
        raise
    if written < len(data):
        os.ftruncate(fd, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _try_lock(fd: int, at: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at, os.SEEK_SET)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True


class SpoolFile:
    """One file as its sender sees it.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be opened, or is a symbolic link.

    Attributes:
        path: the file.
        position: up to where its messages were acknowledged, in bytes from its beginning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)  # pwrite appends where O_APPEND is set
        self.position = _read_position(self._fd)

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._fd).st_size

    def unsent(self) -> Iterator[Frame | Damage]:
        """The frames after the position that are whole now, and what is damaged between them.

        What begins or ends in the file is counted from its beginning.
        """
        with append_lock(self._fd, 5.0):  # no one is in the middle of a frame, so an incomplete one stays incomplete
            size = self.size
        start, window = self.position, _WINDOW
        while start < size:
            data = os.pread(self._fd, min(window, size - start), start)
            if not data:
                return
            at_end = start + len(data) >= size
            following, window = start, _WINDOW
            for found in read_frames(data):
                if isinstance(found, Damage) and found.is_tail and not at_end:
                    following = start + found.start  # a frame that goes on behind the window
                    if found.start == 0:
                        window = 2 * len(data)
                    break
                following = start + found.end
                yield found._replace(start=start + found.start, end=start + found.end)
            start = following

    def acknowledge(self, position: int) -> None:
        """Everything before ``position`` need not be sent again."""
        os.pwrite(self._fd, _header(position), 0)
        self.position = position

    def reclaim(self) -> bool:
        """Free what was acknowledged, if that is all: cut the file, or remove it where its owner is gone.

        Returns:
            Whether it was removed.
        """
        if self.size <= START and not self._is_abandoned():
            return False
        with append_lock(self._fd, 5.0):
            if self.size > max(self.position, START):
                return False
            if self._is_abandoned():
                os.unlink(self.path)  # a process that appends to it still finds that it has no name any more
                return True
            self.acknowledge(START)  # first: what comes then would lie before the position otherwise
            os.ftruncate(self._fd, START)
        return False

    def _is_abandoned(self) -> bool:
        if not own(self._fd):
            return False
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _OWNER_BYTE, os.SEEK_SET)
        return True


def spool_files(folder: Path, suffix: str = SUFFIX) -> list[Path]:
    """The files of a spool, the oldest first.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(Path(folder, name) for name in os.listdir(folder) if name.endswith(suffix))


def unsent_bytes(folder: Path, own: int | None = None) -> int:
    """Bytes that were not acknowledged in all files of the folder.

    Args:
        folder: the spool's.
        own: the descriptor of the file that this process appends to: to open and close it again would end its locks.

    Raises:
        OSError: the folder cannot be read.
    """
    kept = None if own is None else _identity(os.fstat(own))
    total = 0
    for path in spool_files(folder):
        try:
            if kept is not None and own is not None and _identity(os.lstat(path)) == kept:
                total += _unsent(own)
                continue
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        try:
            total += _unsent(fd)
        finally:
            os.close(fd)
    return total


def _unsent(fd: int) -> int:
    return max(os.fstat(fd).st_size - max(_read_position(fd), START), 0)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _read_position(fd: int) -> int:
    for found in read_frames(os.pread(fd, START, 0)):
        if isinstance(found, Frame) and found.kind == POSITION and len(found.payload) == _POSITION.size:
            position: int = _POSITION.unpack(found.payload)[0]
            return position
    return 0  # it was torn, or is not ours: everything in it is read
