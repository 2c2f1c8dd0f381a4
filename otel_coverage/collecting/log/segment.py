"""One file of the log: records with ascending numbers, each in a frame."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from otel_coverage.framing import HEADER_BYTES, Damage, header_of, read_frames

SUFFIX = ".log"

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has only fsync
_DIGITS = 20  # of the first number, in a file's name


class Record(NamedTuple):
    """One accepted export.

    Attributes:
        number: its place in the log; each is one more than that of the record before.
        payload: a serialized ``ExportTraceServiceRequest``.
        end: where it ends in its segment's file, in bytes.
    """

    number: int
    payload: bytes
    end: int


class Gap(NamedTuple):
    """Bytes of a segment that are not a record.

    Attributes:
        file: the segment's.
        start: where they begin, in bytes.
        end: where they end.
        first: number of the first record that was there.
        last: number of the last one; 0 where that is not known: no record follows, and the segment was not read before.
    """

    file: Path
    start: int
    end: int
    first: int
    last: int


@dataclass(slots=True)
class Segment:
    """A file of the log.

    Attributes:
        path: the file, named by its first record.
        first: number of that record.
        last: number of its last record; ``first - 1`` where it has none.
        size: bytes that are synced.
    """

    path: Path
    first: int
    last: int
    size: int

    @classmethod
    def named(cls, folder: Path, first: int) -> Segment:
        """An empty segment, whose file does not exist yet."""
        return cls(folder / f"{first:0{_DIGITS}d}{SUFFIX}", first, first - 1, 0)

    @classmethod
    def found(cls, folder: Path) -> list[Segment]:
        """The segments in a folder by number. What is in them is not known before :meth:`read` has read them."""
        numbers = (int(path.stem) for path in folder.glob(f"*{SUFFIX}") if path.stem.isdigit())
        segments = [cls.named(folder, number) for number in sorted(numbers)]
        for segment in segments:
            segment.size = segment.path.stat().st_size
        return segments

    def read(self, start: int = 0, expected: int | None = None) -> Iterator[Record | Gap]:
        """The records from a position on, and between them what is damaged.

        A frame whose number cannot stand there lies inside the payload of a damaged one: it is part of the gap.

        Args:
            start: where a record begins, in bytes.
            expected: its number; by default the segment's first.
        """
        if self.size <= start:
            return
        expected = self.first if expected is None else expected
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ) as data:
            good = start  # everything before this was a record, or part of a gap that was reported
            for found in read_frames(data, start):
                if isinstance(found, Damage):
                    continue
                # no record is smaller than its header, so there were not more than fit into the damaged bytes
                if not expected <= found.number <= expected + (found.start - good) // HEADER_BYTES:
                    continue
                if found.start > good:
                    yield Gap(self.path, good, found.start, expected, found.number - 1)
                yield Record(found.number, found.payload, found.end)
                good, expected = found.end, found.number + 1
            if good < self.size:
                yield Gap(self.path, good, self.size, expected, self.last if self.last >= expected else 0)


class SegmentWriter:
    """Appends to a segment's file, which it creates.

    Args:
        segment: a new one; its ``last`` and ``size`` follow what was synced.

    Raises:
        OSError: the file cannot be created.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._file = os.open(segment.path, flags, 0o600)
        try:
            sync_folder(segment.path.parent)
        except OSError:
            self.close()
            segment.path.unlink(missing_ok=True)
            raise

    def append(self, payloads: list[bytes]) -> None:
        """Append records, and sync them together.

        Raises:
            OSError: none of them is in the log: what was written of them is cut off again.
        """
        number = self.segment.last + 1
        try:
            for offset, payload in enumerate(payloads):
                _write(self._file, header_of(payload, number=number + offset))
                _write(self._file, payload)
            _sync(self._file)
            size = os.fstat(self._file).st_size
        except OSError:
            os.ftruncate(self._file, self.segment.size)
            raise
        self.segment.size, self.segment.last = size, number + len(payloads) - 1

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in a folder survive a power cut."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
