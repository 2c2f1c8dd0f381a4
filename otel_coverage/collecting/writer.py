"""The writer: rows of many requests go into the store together, and each request hears how that went."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from otel_coverage.errors import OtelCoverageError

T = TypeVar("T")

logger = logging.getLogger(__name__)


class WriterFullError(OtelCoverageError):
    """More is waiting to be written than the writer takes."""


class WriterClosedError(OtelCoverageError):
    """The writer takes nothing more."""


@dataclass(slots=True)
class _Waiting(Generic[T]):
    rows: Sequence[T]
    size: int
    done: Future[None] = field(default_factory=Future)


class Writer(Generic[T]):
    """Gathers rows and hands them on in batches, from one thread.

    A batch is handed on when it has ``max_rows`` rows or ``max_bytes`` bytes, when the last one was begun ``interval``
    seconds ago, or when the writer closes. So whoever comes alone is not kept waiting (a job's process ends only when
    its spans are stored), and whoever comes in a crowd joins it.

    Args:
        insert: takes a batch; what it raises is what every request in that batch hears.
        max_rows: rows of a batch; a larger request is a batch of its own.
        max_bytes: bytes of a batch, as the callers measure them; likewise.
        interval: seconds between two batches that are not full.
        max_waiting_bytes: what may wait at most; a single request is taken however large it is when nothing waits.
    """

    def __init__(
        self,
        insert: Callable[[list[T]], Any],
        *,
        max_rows: int = 50_000,
        max_bytes: int = 32 * 1024 * 1024,
        interval: float = 0.05,
        max_waiting_bytes: int = 256 * 1024 * 1024,
    ) -> None:
        self._insert = insert
        self._max_rows, self._max_bytes, self._interval = max_rows, max_bytes, interval
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[_Waiting[T]] = deque()
        self._next_at = time.monotonic()
        self._rows = self._bytes = 0  # that wait, those being inserted included
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="otel-coverage-writer", daemon=True)
        self._thread.start()

    def write(self, rows: Sequence[T], size: int) -> Future[None]:
        """Take rows; the future is done once they are stored, or holds why they are not.

        Raises:
            WriterFullError: too much waits already; try again later.
            WriterClosedError: the writer was closed.
        """
        with self._changed:
            if self._closing:
                raise WriterClosedError("closed: the collector is stopping")
            if self._bytes and self._bytes + size > self._max_waiting_bytes:
                raise WriterFullError(f"full: {self._bytes} bytes wait to be written already; send it again later")
            entry = _Waiting(rows, size)
            self._waiting.append(entry)
            self._rows += len(rows)
            self._bytes += size
            self._changed.notify_all()
            return entry.done

    def close(self) -> None:
        """Write what was taken, then stop."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next_batch():
            try:
                self._insert([row for entry in batch for row in entry.rows])
            except Exception as error:
                logger.warning("%d spans were not stored: %s", sum(len(entry.rows) for entry in batch), error)
                self._forget(batch)
                for entry in batch:
                    entry.done.set_exception(error)
            else:
                self._forget(batch)
                for entry in batch:
                    entry.done.set_result(None)

    def _next_batch(self) -> list[_Waiting[T]]:
        """Wait until a batch is due and take it; empty once the writer is closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if self._waiting:
                self._changed.wait_for(self._is_due, self._next_at - time.monotonic())
            self._next_at = time.monotonic() + self._interval
            batch: list[_Waiting[T]] = []
            rows = size = 0
            while self._waiting:
                entry = self._waiting[0]
                if batch and (rows + len(entry.rows) > self._max_rows or size + entry.size > self._max_bytes):
                    break
                batch.append(self._waiting.popleft())
                rows += len(entry.rows)
                size += entry.size
            return batch

    def _is_due(self) -> bool:
        return self._closing or self._rows >= self._max_rows or self._bytes >= self._max_bytes

    def _forget(self, batch: list[_Waiting[T]]) -> None:
        with self._changed:
            self._rows -= sum(len(entry.rows) for entry in batch)
            self._bytes -= sum(entry.size for entry in batch)
