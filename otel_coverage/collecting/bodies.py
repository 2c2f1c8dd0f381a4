"""The body of a request as it was meant: whatever compression it came in taken off, piece by piece, up to a bound."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import lz4.block  # type: ignore[import-untyped]
import lz4.frame  # type: ignore[import-untyped]
from werkzeug import Request

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_BODY_BYTES = 256 * 1024 * 1024  # of an insert; what goes into the engine goes by pieces

_PIECE = 256 * 1024
_MAX_BLOCK = 64 * 1024 * 1024  # of ClickHouse's own compression; its clients make blocks of 1 MiB

_LZ4, _ZSTD, _NONE = 0x82, 0x90, 0x02
_CHECKSUM_BYTES, _HEADER = 16, struct.Struct("<BII")


class BodyError(ValueError):
    """The body is not what its headers say."""


class BodyTooLargeError(BodyError):
    """The body holds more than the bound."""


def body_of(request: Request, limit: int, *, in_blocks: bool = False) -> Iterator[bytes]:
    """The body in pieces.

    Args:
        request: its ``Content-Encoding`` counts.
        limit: bytes that it may hold once decompressed.
        in_blocks: whether, inside of that, it consists of blocks as ClickHouse compresses them.

    Raises:
        BodyError: it cannot be decompressed.
        BodyTooLargeError: it holds more than ``limit``.
    """
    pieces = _read(request.stream)
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        if encoding not in _DECOMPRESSORS:
            raise BodyError(f"Content-Encoding {encoding!r} is not one of {', '.join(_DECOMPRESSORS)}")
        pieces = _decompressed(pieces, _DECOMPRESSORS[encoding])
    if in_blocks:
        pieces = _out_of_blocks(pieces)
    return _bounded(pieces, limit)


def _read(stream: Any) -> Iterator[bytes]:
    while piece := stream.read(_PIECE):
        yield piece


def _bounded(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise BodyTooLargeError(f"the body holds more than {limit} bytes")
        yield piece


class _Zlib:
    """zlib's decompressor with the interface that those of lz4 and zstd share."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip's header or zlib's

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "gzip": _Zlib,
    "deflate": _Zlib,
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
}


def _decompressed(pieces: Iterable[bytes], make: Callable[[], Any]) -> Iterator[bytes]:
    """Never more than one piece at a time, however much a few bytes stand for; frames may follow one another."""
    decompressor = make()
    begun = False
    try:
        for piece in pieces:
            data = piece
            while data or not (decompressor.needs_input or decompressor.eof):
                begun = True
                if decompressor.eof:
                    decompressor = make()
                yield decompressor.decompress(data, _PIECE)
                data = (decompressor.unused_data or b"") if decompressor.eof else b""
    except (zlib.error, zstd.ZstdError, RuntimeError, EOFError) as error:
        raise BodyError(f"the body cannot be decompressed: {error}") from error
    if begun and not decompressor.eof:
        raise BodyError("the body ends in the middle of what was compressed")


def _out_of_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """ClickHouse's own blocks: checksum (which TCP's already covers), method, sizes, data."""
    source = _Source(pieces)
    while source.take(_CHECKSUM_BYTES, optional=True):
        method, compressed, size = _HEADER.unpack(source.take(_HEADER.size))
        if size > _MAX_BLOCK or not _HEADER.size <= compressed <= _MAX_BLOCK:
            raise BodyError("a compressed block names an impossible size")
        data = source.take(compressed - _HEADER.size)
        try:
            if method == _LZ4:
                yield lz4.block.decompress(data, uncompressed_size=size)
            elif method == _ZSTD:
                yield zstd.ZstdDecompressor().decompress(data, size)
            elif method == _NONE:
                yield data
            else:
                raise BodyError(f"a block is compressed by an unknown method, {method:#x}")
        except (lz4.block.LZ4BlockError, zstd.ZstdError, EOFError) as error:
            raise BodyError(f"a block cannot be decompressed: {error}") from error


class _Source:
    """Pieces, taken by the byte."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = bytearray()

    def take(self, count: int, *, optional: bool = False) -> bytes:
        """The next ``count`` bytes; none at the end, where that is allowed."""
        while len(self._rest) < count:
            piece = next(self._pieces, None)
            if piece is None:
                if optional and not self._rest:
                    return b""
                raise BodyError("the body ends in the middle of a compressed block")
            self._rest += piece
        taken = bytes(self._rest[:count])
        del self._rest[:count]
        return taken
