"""The log: appended to by many threads, synced by one, read from its beginning by another."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from otel_coverage.collecting.log.segment import Gap, Record, Segment, SegmentWriter, sync_folder
from otel_coverage.errors import ConfigurationError, OtelCoverageError
from otel_coverage.framing import HEADER_BYTES, Frame, framed, read_frames
from otel_coverage.store.log_folder import LOCK

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_BYTES = 1024 * 1024 * 1024
RESERVE_BYTES = 128 * 1024 * 1024

_SEGMENT_BYTES = 16 * 1024 * 1024
_GROUP_BYTES = 16 * 1024 * 1024  # that share a sync, so that the first of them does not wait for too many
_CHECKPOINT = "checkpoint"

logger = logging.getLogger(__name__)


class LogFullError(OtelCoverageError):
    """There is no room for the record; the caller may retry."""


class LogClosedError(OtelCoverageError):
    """The log was closed."""


class Log:
    """A folder of segments, which belongs to one process.

    A record is in the log once :meth:`append` has returned. :meth:`inserted` notes how far the store has them: whole
    segments before that are removed.

    Args:
        folder: where the segments are; created for its owner alone where it does not exist.
        max_bytes: of all segments; what would be more is refused.
        reserve_bytes: of free disk space, below which nothing is accepted.

    Attributes:
        name: 16 hexadecimal digits, random: of this log, and no other.
        gaps: what was found to be damaged, when it was opened and since.

    Raises:
        ConfigurationError: the folder cannot be used, or another process uses it.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES, reserve_bytes: int = RESERVE_BYTES) -> None:
        self.folder = folder
        self._max_bytes, self._reserve_bytes = max_bytes, reserve_bytes
        self._segment_bytes = max(min(_SEGMENT_BYTES, max_bytes // 4), 1)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_file = _locked(folder / LOCK)
            self._segments = deque(Segment.found(folder))
            known = _read_checkpoint(folder / _CHECKPOINT)
            if known is None:
                known = (secrets.token_hex(8), self._segments[0].first - 1 if self._segments else 0)
                _write_checkpoint(folder / _CHECKPOINT, *known)
            self.name, checkpoint = known
            self.gaps, last = self._scan(checkpoint)
        except OSError as error:
            raise ConfigurationError(f"{folder}: the log cannot be used: {error.strerror or error}") from error
        self._writer: SegmentWriter | None = None
        self._waiting: deque[tuple[bytes, Future[int]]] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._last = max(last, checkpoint)
        self._checkpoint = self._inserted = checkpoint
        self._cursor = (0, 0, 0)  # segment, position and number of the record to read next
        self._is_failing = self._closing = False
        self._remove_inserted()
        self._thread = threading.Thread(target=self._run, name="otel-coverage-log", daemon=True)
        self._thread.start()

    @property
    def last(self) -> int:
        """Number of the last record that is in the log for certain; 0 before the first."""
        return self._last

    @property
    def last_inserted(self) -> int:
        """Number of the last record that the store has."""
        return self._inserted

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        with self._changed:
            return self._size()

    @property
    def waiting(self) -> int:
        """About how many bytes of records the store does not have yet."""
        with self._changed:
            segment, position, _ = self._cursor
            return sum(
                each.size - (position if each.first == segment else 0)
                for each in self._segments
                if each.last > self._inserted
            )

    def append(self, payload: bytes) -> int:
        """Return once the record is on disk, with its number.

        Raises:
            LogFullError: it is not in the log, for lack of room; the caller may retry.
            LogClosedError: the log was closed.
        """
        with self._changed:
            if self._closing:
                raise LogClosedError("the collector is stopping")
            held = self._size() + self._waiting_bytes
            if held and held + len(payload) + HEADER_BYTES > self._max_bytes:
                raise LogFullError(f"the log is full ({held} bytes are not in the store yet); retry later")
            done: Future[int] = Future()
            self._waiting.append((payload, done))
            self._waiting_bytes += len(payload) + HEADER_BYTES
            self._changed.notify_all()
        return done.result()

    def read(self, after: int, max_bytes: int) -> list[Record]:
        """Records in the order of their numbers, from the files: at least one where there is one.

        Args:
            after: number of the record before them.
            max_bytes: of all payloads, unless the first one alone has more.
        """
        records: list[Record] = []
        size = 0
        with self._changed:
            # the size is that of now: the writer appends meanwhile
            segments = [Segment(each.path, each.first, each.last, each.size) for each in self._segments]
        for segment in segments:
            if segment.last <= after:
                continue
            known, position, expected = self._cursor
            start, number = (position, expected) if (known, expected) == (segment.first, after + 1) else (0, None)
            for found in segment.read(start, number):
                if isinstance(found, Gap):
                    if found not in self.gaps:
                        self.gaps.append(found)
                    continue
                if found.number <= after:
                    continue
                if records and size + len(found.payload) > max_bytes:
                    return records
                records.append(found)
                size += len(found.payload)
                self._cursor = (segment.first, found.end, found.number + 1)
        return records

    def inserted(self, number: int) -> None:
        """The store has all records up to a number: remember it, and remove the segments that are no longer needed."""
        with self._changed:
            if number <= self._inserted:
                return
            self._inserted = number
            with suppress(OSError):  # until it can be written a restart reads these records again, as duplicates
                _write_checkpoint(self.folder / _CHECKPOINT, self.name, number)
                self._checkpoint = number
            self._remove_inserted()
            self._changed.notify_all()

    def set_aside(self, record: Record) -> Path:
        """Keep a record that cannot be inserted in a file of its own, which nothing reads; returns that file.

        Raises:
            OSError: it cannot be written.
        """
        path = self.folder / f"set-aside-{record.number}"
        _write_synced(path, os.O_CREAT | os.O_TRUNC, framed(record.payload, number=record.number))
        sync_folder(self.folder)
        return path

    def wait_for_records(self, timeout: float) -> bool:
        """Wait until there is a record that the store does not have, or the log is closed; whether there is one."""
        with self._changed:
            self._changed.wait_for(lambda: self._last > self._inserted or self._closing, timeout)
            return self._last > self._inserted

    def wait_until_inserted(self, number: int, timeout: float) -> bool:
        """Wait until the store has a record and all before it; whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self._inserted >= number, timeout)

    def close(self) -> None:
        """Write what waits, and refuse more. What the store has of it can still be noted, and be read."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def release(self) -> None:
        """Let another process use the folder; where the store has every record, no segment stays."""
        self.close()
        with self._changed:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            self._remove_inserted()
            if self._lock_file >= 0:
                os.close(self._lock_file)
                self._lock_file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _size(self) -> int:
        return sum(segment.size for segment in self._segments)

    def _scan(self, checkpoint: int) -> tuple[list[Gap], int]:
        """What is damaged, and the last number; sets the last record of each segment, and cuts torn tails."""
        gaps: list[Gap] = []
        last = checkpoint
        for segment in self._segments:
            if segment.first > last + 1:  # records, or a whole segment, are gone
                gaps.append(Gap(segment.path, 0, 0, last + 1, segment.first - 1))
            for found in segment.read():
                if isinstance(found, Gap):
                    gaps.append(found)
                    if not found.last:
                        os.truncate(segment.path, found.start)
                        segment.size = found.start
                else:
                    segment.last = found.number
            last = max(last, segment.last)
        for empty in [segment for segment in self._segments if not segment.size]:
            self._segments.remove(empty)
            empty.path.unlink(missing_ok=True)
        return gaps, last

    def _run(self) -> None:
        while group := self._next_group():
            payloads = [payload for payload, _ in group]
            error: Exception | None = None
            try:
                self._append(payloads)
            except Exception as failure:  # of the disk, which may have room again later
                error = failure
            with self._changed:
                self._waiting_bytes -= sum(len(payload) + HEADER_BYTES for payload in payloads)
                if error is None:
                    number = self._last
                    self._last += len(group)
                self._changed.notify_all()
            self._log_outcome(error)
            for offset, (_, done) in enumerate(group, 1):
                if error is None:
                    done.set_result(number + offset)
                else:
                    done.set_exception(LogFullError(f"{self.folder}: {_reason(error)}; retry later"))

    def _next_group(self) -> list[tuple[bytes, Future[int]]]:
        """Wait for records, and take them; none once the log is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            group: list[tuple[bytes, Future[int]]] = []
            size = 0
            while self._waiting and (not group or size + len(self._waiting[0][0]) <= _GROUP_BYTES):
                group.append(self._waiting.popleft())
                size += len(group[-1][0])
            return group

    def _append(self, payloads: list[bytes]) -> None:
        free, size = shutil.disk_usage(self.folder).free, sum(map(len, payloads))
        if free - size < self._reserve_bytes:
            raise OSError(
                f"no room for {size} bytes: its disk has {free} free, and {self._reserve_bytes} are kept free"
                " (--reserve-bytes)"
            )
        if self._writer is not None and self._writer.segment.size >= self._segment_bytes:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            segment = Segment.named(self.folder, self._last + 1)
            self._writer = SegmentWriter(segment)
            with self._changed:
                self._segments.append(segment)
        try:
            self._writer.append(payloads)
        except OSError:
            # after a sync that failed nobody knows what the disk holds: this file is not written to again
            self._writer.close()
            with self._changed:
                if not self._writer.segment.size:
                    self._segments.remove(self._writer.segment)
                    self._writer.segment.path.unlink(missing_ok=True)
            self._writer = None
            raise

    def _log_outcome(self, error: Exception | None) -> None:
        if error is not None and not self._is_failing:
            logger.warning(
                "%s: exports are refused, and clients retry them, until this is over: %s", self.folder, _reason(error)
            )
        elif error is None and self._is_failing:
            logger.warning("%s: exports are accepted again", self.folder)
        self._is_failing = error is not None

    def _remove_inserted(self) -> None:
        """Remove the segments all of whose records the store has, but not the one that is being written."""
        current = self._writer.segment if self._writer is not None else None
        while self._segments and self._segments[0].last <= self._checkpoint and self._segments[0] is not current:
            with suppress(OSError):
                self._segments[0].path.unlink(missing_ok=True)
            self._segments.popleft()


def _locked(path: Path, patience: float = 0.5) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        import fcntl
    except ImportError:  # Windows
        return file
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError as error:
            if time.monotonic() > until:
                os.close(file)
                raise ConfigurationError(
                    f"{path.parent}: another collector uses this log; stop that one, or name another folder by --log"
                ) from error
            time.sleep(0.05)


def _read_checkpoint(path: Path) -> tuple[str, int] | None:
    """The log's name, and the number of the last record that the store has; None where neither is known."""
    with suppress(FileNotFoundError):
        for found in read_frames(path.read_bytes()):
            if isinstance(found, Frame):
                return found.payload.decode("ascii"), found.number
    return None


def _write_checkpoint(path: Path, name: str, number: int) -> None:
    content = framed(name.encode("ascii"), number=number)
    fresh = path.with_suffix(".new")
    try:
        _write_synced(fresh, os.O_CREAT | os.O_TRUNC, content)
        fresh.replace(path)
    except OSError:  # on a full disk there is no room for a second file, but in the block of the first
        _write_synced(path, 0, content)
    sync_folder(path.parent)


def _write_synced(path: Path, flags: int, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
