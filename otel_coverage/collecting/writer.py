"""Batched inserts: rows of many requests go into the store together, and each request gets the outcome."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_coverage.collecting.rows import COLUMNS, TABLE, Row, rows_of
from otel_coverage.errors import OtelCoverageError
from otel_coverage.store import Store

T = TypeVar("T")

# a failing materialized view would fail the insert after the spans are stored, and each retry would store them again
INSERT_SETTINGS = {"materialized_views_ignore_errors": "1"}

logger = logging.getLogger(__name__)


class WriterFullError(OtelCoverageError):
    """The queue of rows to insert is full."""


class WriterClosedError(OtelCoverageError):
    """The writer was closed."""


@dataclass(slots=True)
class _QueuedRows(Generic[T]):
    rows: Sequence[T]
    size: int
    done: Future[None] = field(default_factory=Future)


class BatchWriter(Generic[T]):
    """Collects rows and inserts them in batches, from one thread.

    A batch is inserted when it has ``max_rows`` rows or ``max_bytes`` bytes, when ``interval`` seconds have passed
    since the last batch was begun, or when the writer closes. So a single request is not delayed (a job's process ends
    only when its spans are stored), and concurrent requests share an insert.

    Args:
        insert: inserts a batch; what it raises becomes the outcome of every request in the batch.
        max_rows: rows in a batch; a larger request is a batch of its own.
        max_bytes: bytes in a batch, as the callers measure them; likewise.
        interval: seconds between the beginnings of two batches that are not full.
        max_queued_bytes: bytes that may be queued; a request of any size is accepted while the queue is empty.
    """

    def __init__(
        self,
        insert: Callable[[list[T]], Any],
        *,
        max_rows: int = 50_000,
        max_bytes: int = 32 * 1024 * 1024,
        interval: float = 0.05,
        max_queued_bytes: int = 256 * 1024 * 1024,
    ) -> None:
        self._insert = insert
        self._max_rows, self._max_bytes, self._interval = max_rows, max_bytes, interval
        self._max_queued_bytes = max_queued_bytes
        self._queue: deque[_QueuedRows[T]] = deque()
        self._next_at = time.monotonic()
        self._rows = self._bytes = 0  # queued or being inserted
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="otel-coverage-writer", daemon=True)
        self._thread.start()

    def write(self, rows: Sequence[T], size: int) -> Future[None]:
        """Queue rows. The future completes once they are stored, or with the exception of the insert.

        Raises:
            WriterFullError: the queue is full; the caller may retry.
            WriterClosedError: the writer was closed.
        """
        with self._changed:
            if self._closing:
                raise WriterClosedError("the collector is stopping")
            if self._bytes and self._bytes + size > self._max_queued_bytes:
                raise WriterFullError(f"the write queue is full ({self._bytes} bytes); retry later")
            entry = _QueuedRows(rows, size)
            self._queue.append(entry)
            self._rows += len(rows)
            self._bytes += size
            self._changed.notify_all()
            return entry.done

    def close(self) -> None:
        """Insert what is queued, then stop."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._insert([row for entry in batch for row in entry.rows])
            except Exception as error:
                logger.warning("%d spans were not stored: %s", sum(len(entry.rows) for entry in batch), error)
                self._dequeued(batch)
                for entry in batch:
                    entry.done.set_exception(error)
            else:
                self._dequeued(batch)
                for entry in batch:
                    entry.done.set_result(None)

    def _next_batch(self) -> list[_QueuedRows[T]]:
        """Wait for the next batch and take it from the queue; empty once the writer is closed and has nothing left."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            if self._queue:
                self._changed.wait_for(self._is_due, self._next_at - time.monotonic())
            self._next_at = time.monotonic() + self._interval
            batch: list[_QueuedRows[T]] = []
            rows = size = 0
            while self._queue:
                entry = self._queue[0]
                if batch and (rows + len(entry.rows) > self._max_rows or size + entry.size > self._max_bytes):
                    break
                batch.append(self._queue.popleft())
                rows += len(entry.rows)
                size += entry.size
            return batch

    def _is_due(self) -> bool:
        return self._closing or self._rows >= self._max_rows or self._bytes >= self._max_bytes

    def _dequeued(self, batch: list[_QueuedRows[T]]) -> None:
        with self._changed:
            self._rows -= sum(len(entry.rows) for entry in batch)
            self._bytes -= sum(entry.size for entry in batch)


class SpanWriter:
    """Writes the spans of OTLP requests to ``otel_traces``; for use from several threads.

    Args:
        store: has the schema.
    """

    def __init__(self, store: Store) -> None:
        self._writer: BatchWriter[Row] = BatchWriter(lambda rows: store.insert(TABLE, COLUMNS, rows, INSERT_SETTINGS))
        self._lock = threading.Lock()
        self._stored = self._failed = 0

    @property
    def stored(self) -> int:
        """The number of spans that were stored."""
        return self._stored

    @property
    def failed(self) -> int:
        """The number of spans that were refused or could not be stored, each time they were sent."""
        return self._failed

    def write(self, request: ExportTraceServiceRequest) -> None:
        """Return once the request's spans are stored.

        Raises:
            OtelCoverageError: they are not stored; the caller may retry.
        """
        rows = list(rows_of(request))
        if not rows:
            return
        try:
            self._writer.write(rows, request.ByteSize()).result()
        except BaseException:
            with self._lock:
                self._failed += len(rows)
            raise
        with self._lock:
            self._stored += len(rows)

    def close(self) -> None:
        """Store what is queued, and refuse further requests."""
        self._writer.close()
