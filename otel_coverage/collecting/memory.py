"""The memory that requests in progress may have together."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from otel_coverage.errors import OtelCoverageError

MAX_BYTES = 64 * 1024 * 1024  # of what they were sent; with copies a request has about four times that for a moment


class MemoryFullError(OtelCoverageError):
    """Requests in progress have all of it; the caller may retry."""


class RequestMemory:
    """Counts what requests hold; for use from several threads.

    Args:
        max_bytes: of all requests together; a request that is alone may have more.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._used = 0
        self._lock = threading.Lock()

    @contextmanager
    def request(self) -> Iterator[RequestShare]:
        """The share of one request, given back at the end of the block."""
        share = RequestShare(self)
        try:
            yield share
        finally:
            self._give(-share.bytes)

    def take(self, size: int, held: int) -> None:
        """Take some for a request that has ``held`` already.

        Raises:
            MemoryFullError: there is not so much left.
        """
        with self._lock:
            if self._used > held and self._used + size > self._max_bytes:
                raise MemoryFullError(f"requests in progress have {self._used} bytes; retry later")
            self._used += size

    def _give(self, size: int) -> None:
        with self._lock:
            self._used += size


class RequestShare:
    """What one request holds.

    Attributes:
        bytes: how much.
    """

    def __init__(self, memory: RequestMemory) -> None:
        self._memory = memory
        self.bytes = 0

    def add(self, size: int) -> None:
        """Hold more.

        Raises:
            MemoryFullError: there is not so much left.
        """
        self._memory.take(size, self.bytes)
        self.bytes += size

    def holding(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Hold chunks, one after the other as they are read.

        Raises:
            MemoryFullError: there is not so much left.
        """
        for chunk in chunks:
            self.add(len(chunk))
            yield chunk
