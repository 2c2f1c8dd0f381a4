"""Request bodies, decompressed in bounded chunks."""

from __future__ import annotations

import io
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import lz4.block  # type: ignore[import-untyped]
import lz4.frame  # type: ignore[import-untyped]
from werkzeug import Request
from werkzeug.exceptions import ClientDisconnected

from otel_coverage.collecting.connections import EXCHANGE, Exchange

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_BODY_BYTES = 128 * 1024 * 1024  # of an insert, decompressed

_CHUNK = 256 * 1024
_PIECE = 16 * 1024  # that a client has to send in a second, be it the only one or not
_PATIENCE = 10.0  # seconds that a client may be behind
_MAX_BLOCK = 64 * 1024 * 1024  # of ClickHouse's compressed format; clients send blocks of 1 MiB

_LZ4, _ZSTD, _NONE = 0x82, 0x90, 0x02
_CHECKSUM_BYTES, _HEADER = 16, struct.Struct("<BII")


class BodyError(ValueError):
    """The body is not encoded as its headers say."""


class BodyTooLargeError(BodyError):
    """The decompressed body is larger than the limit."""


def read_body(request: Request, limit: int, *, in_blocks: bool = False) -> Iterator[bytes]:
    """The decompressed body in chunks.

    Args:
        request: its ``Content-Encoding`` is decoded.
        limit: bytes, decompressed.
        in_blocks: whether the decoded content is in ClickHouse's compressed format (``decompress=1``).

    Raises:
        BodyError: the body cannot be decompressed.
        BodyTooLargeError: the body is larger than ``limit``.
    """
    chunks = _read(request.stream, request.environ[EXCHANGE])
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        if encoding not in _DECOMPRESSORS:
            raise BodyError(f"unsupported Content-Encoding {encoding!r}; use one of {', '.join(_DECOMPRESSORS)}")
        chunks = _decompressed(chunks, _DECOMPRESSORS[encoding])
    if in_blocks:
        chunks = _decompressed_blocks(chunks)
    return _bounded(chunks, limit)


def joined(chunks: Iterable[bytes]) -> bytes:
    """A body as a whole, which is in memory once: ``b"".join`` would hold all chunks beside it."""
    whole = io.BytesIO()
    for chunk in chunks:
        whole.write(chunk)
    return whole.getvalue()  # not a copy


def decompressed(body: bytes, encoding: str, limit: int) -> Iterator[bytes]:
    """A whole body, decompressed, in chunks.

    Args:
        body: compressed.
        encoding: ``gzip``, ``deflate``, ``lz4`` or ``zstd``.
        limit: bytes, decompressed.

    Raises:
        BodyError: the body cannot be decompressed.
        BodyTooLargeError: the body is larger than ``limit``.
    """
    return _bounded(_decompressed([body], _DECOMPRESSORS[encoding]), limit)


def _read(stream: Any, exchange: Exchange) -> Iterator[bytes]:
    """The body as it comes; a client that sends more slowly than 16 KiB a second loses its connection.

    One on a slow line is served: what is asked of each piece is that of a second, also while others wait.
    """
    allowed = _PATIENCE
    chunk = bytearray()
    while True:
        started = time.monotonic()
        with exchange.receiving(allowed):
            try:
                piece = stream.read(_PIECE)
            except (OSError, ValueError, ClientDisconnected) as error:
                raise BodyError(f"the body did not arrive whole: {error}") from error
        chunk += piece
        if chunk and (not piece or len(chunk) >= _CHUNK):
            yield bytes(chunk)
            chunk.clear()
        if not piece:
            return
        allowed = min(allowed + 1.0 - (time.monotonic() - started), _PATIENCE)


def _bounded(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise BodyTooLargeError(f"the body is larger than {limit} bytes")
        yield chunk


class _Zlib:
    """zlib's decompressor behind the interface of those of lz4 and zstd."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 32)  # a gzip or zlib header

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


def _decompressed(chunks: Iterable[bytes], make: Callable[[], Any]) -> Iterator[bytes]:
    """At most ``_CHUNK`` bytes at a time, whatever the compression ratio; frames may be concatenated."""
    decompressor = make()
    started = False
    try:
        for chunk in chunks:
            data = chunk
            while data or not (decompressor.needs_input or decompressor.eof):
                started = True
                if decompressor.eof:
                    decompressor = make()
                yield decompressor.decompress(data, _CHUNK)
                data = (decompressor.unused_data or b"") if decompressor.eof else b""
    except (zlib.error, zstd.ZstdError, RuntimeError, EOFError) as error:
        raise BodyError(f"the body cannot be decompressed: {error}") from error
    if started and not decompressor.eof:
        raise BodyError("the compressed body is truncated")


def _decompressed_blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of ClickHouse's compressed blocks: checksum (not verified: TCP has one), method, sizes, data."""
    reader = _Reader(chunks)
    while reader.read(_CHECKSUM_BYTES, optional=True):
        method, compressed, size = _HEADER.unpack(reader.read(_HEADER.size))
        if size > _MAX_BLOCK or not _HEADER.size <= compressed <= _MAX_BLOCK:
            raise BodyError("a compressed block has an invalid size")
        data = reader.read(compressed - _HEADER.size)
        try:
            if method == _LZ4:
                yield lz4.block.decompress(data, uncompressed_size=size)
            elif method == _ZSTD:
                yield zstd.ZstdDecompressor().decompress(data, size)
            elif method == _NONE:
                yield data
            else:
                raise BodyError(f"a compressed block has the unknown method {method:#x}")
        except (lz4.block.LZ4BlockError, zstd.ZstdError, EOFError) as error:
            raise BodyError(f"a compressed block cannot be decompressed: {error}") from error


class _Reader:
    """Reads exact numbers of bytes from chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = bytearray()

    def read(self, count: int, *, optional: bool = False) -> bytes:
        """The next ``count`` bytes; none at the end of the body if ``optional``."""
        while len(self._rest) < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                if optional and not self._rest:
                    return b""
                raise BodyError("the body ends inside a compressed block")
            self._rest += chunk
        taken = bytes(self._rest[:count])
        del self._rest[:count]
        return taken
