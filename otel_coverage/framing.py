"""Messages in files: each in a frame with a length and a checksum, so that what a crash or a disk has damaged is found.

A frame is a header of 24 bytes, little-endian, and the payload: marker (4 bytes), kind (1), nothing (3), length of the
payload (4), CRC-32 of all of the frame but marker and checksum (4), number (8).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

MARKER = b"\xc5OC\x01"
MAX_PAYLOAD = 2**32 - 1  # bytes

_HEADER = struct.Struct("<4sB3xIIQ")
HEADER_BYTES = _HEADER.size


class Frame(NamedTuple):
    """One message.

    Attributes:
        kind: what the payload is, 0 to 255; up to the file.
        number: the writer's, 0 to 2**64 - 1.
        payload: the message.
        start: where the frame begins, in bytes from the beginning of the data.
        end: where it ends.
    """

    kind: int
    number: int
    payload: bytes
    start: int
    end: int


class Damage(NamedTuple):
    """Bytes that are not a whole frame.

    Attributes:
        start: where they begin.
        end: where the next frame begins, or the data ends.
        is_tail: whether no frame follows, as after a write that was cut off.
    """

    start: int
    end: int
    is_tail: bool


def framed(payload: bytes, *, kind: int = 0, number: int = 0) -> bytes:
    """The frame of a message, to be written whole.

    Raises:
        ValueError: the payload has more than ``MAX_PAYLOAD`` bytes.
    """
    return header_of(payload, kind=kind, number=number) + payload


def header_of(payload: bytes, *, kind: int = 0, number: int = 0) -> bytes:
    """What stands before a message in its frame: who writes both does not copy the message.

    Raises:
        ValueError: the payload has more than ``MAX_PAYLOAD`` bytes.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a frame holds {MAX_PAYLOAD} bytes at most, not {len(payload)}")
    return _HEADER.pack(MARKER, kind, len(payload), _checksum(kind, number, payload), number)


def read_frames(data: bytes | mmap, start: int = 0) -> Iterator[Frame | Damage]:
    """The frames from ``start`` on, and between them what is damaged: reading resumes after it.

    A frame inside the payload of a damaged one is read as a frame, as nothing distinguishes them.

    Args:
        data: what the file holds.
        start: where a frame begins.
    """
    size = len(data)
    while start < size:
        frame = _frame_at(data, start)
        if frame is not None:
            yield frame
            start = frame.end
            continue
        following = _next_frame(data, start + 1)
        yield Damage(start, size if following is None else following, following is None)
        if following is None:
            return
        start = following


def _next_frame(data: bytes | mmap, start: int) -> int | None:
    while (start := data.find(MARKER, start)) >= 0:
        if _frame_at(data, start) is not None:
            return start
        start += 1
    return None


def _frame_at(data: bytes | mmap, start: int) -> Frame | None:
    begin = start + HEADER_BYTES
    if begin > len(data):
        return None
    marker, kind, length, checksum, number = _HEADER.unpack(data[start:begin])
    if marker != MARKER or begin + length > len(data):
        return None
    payload = bytes(data[begin : begin + length])
    if checksum != _checksum(kind, number, payload):
        return None
    return Frame(kind, number, payload, start, begin + length)


def _checksum(kind: int, number: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(struct.pack("<BIQ", kind, len(payload), number)))
