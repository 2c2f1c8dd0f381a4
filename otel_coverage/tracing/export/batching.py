"""The span processor that queues spans for the exporter, and knows what became of each."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry import context as otel_context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from otel_coverage.tracing.attributes import ROLE
from otel_coverage.tracing.export.exporter import BoundedSpanExporter, ExportCounts
from otel_coverage.tracing.export.span_size import held_bytes
from otel_coverage.tracing.forks import ProcessState
from otel_coverage.tracing.log import log
from otel_coverage.tracing.metrics import metrics

PATIENCE = 30.0  # seconds, as the SDK's processors have at the end of a process
QUEUE_BYTES = 32 * 1024 * 1024
SPOOL_DELAY = 0.5  # seconds: appending to a file is cheap, and what is in memory is lost with the process

_INTERRUPTION = 0.5  # seconds for an export to end that was interrupted
_KEEPING = 5.0  # seconds for the batch that is being appended to a file when the process ends
_RETRY = 0.1  # seconds between two attempts while the process ends
_INLINE_SPANS = 256
_INLINE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Limits:
    """The SDK's variables for batches.

    Attributes:
        delay: seconds between two exports.
        spans: that are queued at most.
        batch: spans that are exported at once, and before the delay has passed.
    """

    delay: float
    spans: int
    batch: int

    @classmethod
    def of_environment(cls, delay: float) -> _Limits:
        """As the environment says; values that are not positive numbers count as not set.

        Args:
            delay: the default.
        """
        spans = int(_number("OTEL_BSP_MAX_QUEUE_SIZE", 2048))
        return cls(
            _number("OTEL_BSP_SCHEDULE_DELAY", delay * 1000) / 1000,
            spans,
            min(int(_number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)), spans),
        )


class CountingSpanProcessor(ProcessState, SpanProcessor):
    """Queues spans, bounded in number and bytes, and exports them from a thread of its own. Nobody waits for it.

    The thread starts with the first span, not before: uWSGI forks without running Python's fork hooks, and in such a
    child ``sys.monitoring`` walks the frames of all threads, those that exist no more included, and crashes.

    What the receiver does not accept goes to the exporter's fallback. Without one it stays in the queue, and is tried
    again; what finds no room there is lost, and counted.

    Args:
        exporter: receives the batches, and keeps the counts.
        patience: seconds that :meth:`shutdown` takes at most, apart from appending to a file.
        report: ends spans that say how many were lost; called before the last export, and after an export that
            succeeded when spans had been lost before.
    """

    def __init__(
        self, exporter: BoundedSpanExporter, *, patience: float = PATIENCE, report: Callable[[], None] | None = None
    ) -> None:
        self._exporter = exporter
        self._patience = patience
        self._report = report
        self._limits: _Limits | None = None
        self._is_inline = False
        self._is_shut_down = self._is_closed = self._gives_up = False
        self._check_process()

    def _begin_process(self) -> None:
        # what is queued is the parent's
        self._queue: deque[tuple[ReadableSpan, int]] = deque()
        self._bytes = 0
        self._since = 0.0
        self._worker: _Worker | None = None
        self._reported_losses = 0
        self._lock = threading.RLock()  # a span may end in a finalizer, wherever that runs

    @property
    def only_keeps(self) -> bool:
        """Whether all spans go to the exporter's fallback."""
        return self._exporter.only_keeps

    @property
    def counts(self) -> ExportCounts:
        """What became of this process's spans."""
        return self._exporter.counts

    @property
    def queued_bytes(self) -> int:
        """About the bytes of the spans that wait in memory."""
        self._check_process()
        return self._bytes

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        self._check_process()
        self._exporter.count_ended()
        limits = self._limits
        if limits is None:
            limits = self._limits = _Limits.of_environment(SPOOL_DELAY if self._exporter.only_keeps else 5.0)
        size = held_bytes(span)
        with self._lock:
            is_first = not self._queue
            is_queued = not self._is_closed and (
                is_first or (len(self._queue) < limits.spans and self._bytes + size <= QUEUE_BYTES)
            )
            if is_queued:
                if is_first:
                    self._since = time.monotonic()
                self._queue.append((span, size))
                self._bytes += size
            waiting = len(self._queue)
        if not is_queued:
            self._hand_over([span])
        elif not self._is_inline:
            self._wake(is_urgent=waiting >= limits.batch)
        elif _ends_something(span) or waiting >= _INLINE_SPANS or time.monotonic() - self._since > _INLINE_SECONDS:
            self._export_queue()

    def export_inline(self) -> None:
        """From now on, also in children forked from now on, export in the thread that ends a span: no thread is made.

        A span whose parent is absent or remote is exported when it ends, and one of ours, with all that ended before;
        so are many spans, or old ones, when another ends. For exporters that append to a file: that takes less than
        making a thread.
        """
        self._is_inline = True

    def _hand_over(self, spans: list[ReadableSpan]) -> None:
        """To the fallback, what finds no room or comes too late; without one it is lost."""
        if not spans:
            return
        if not self._exporter.has_fallback:
            log.warn(
                "lost_spans",
                "coverage: %d spans are lost, %s",
                len(spans),
                "as the process ended" if self._is_shut_down else "the queue is full",
                count=len(spans),
            )
        self._exporter.keep(spans)

    def _wake(self, *, is_urgent: bool) -> None:
        worker = self._worker
        if worker is None:
            # not under the lock: under gevent, starting a thread lets other greenlets run, and a lock that was made
            # before gevent replaced locks would block them all, and this one
            worker = _Worker(self)
            with self._lock:
                is_first = self._worker is None
                if is_first:
                    self._worker = worker
                else:
                    worker = self._worker or worker
            if is_first and not worker.start():
                with self._lock:
                    self._worker = None
                self._hand_over(self._take_all())
                return
        if is_urgent:
            worker.hurry()
        else:
            worker.wake()

    def _export_queue(self, *, is_forced: bool = False) -> None:
        """Export what is queued now.

        Args:
            is_forced: also while the receiver is left alone after failures, where there is no fallback.
        """
        token = otel_context.attach(otel_context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True, Context()))
        started = metrics.start()
        try:
            self._export_some(len(self._queue), is_forced)
        finally:
            otel_context.detach(token)
            metrics.spent("export", started)
        lost = self._exporter.counts.lost
        if self._report is not None and lost > self._reported_losses and self._exporter.is_working:
            self._reported_losses = lost
            self._report()

    def _export_some(self, number: int, is_forced: bool) -> None:
        exporter, limits = self._exporter, self._limits
        while number > 0:
            batch = self._take(min(number, limits.batch if limits is not None else number))
            if not batch:
                return
            number -= len(batch)
            spans = [span for span, _ in batch]
            try:
                if exporter.may_send or (is_forced and not exporter.has_fallback):
                    spans = exporter.deliver(spans, give_up=lambda: self._gives_up)
                if exporter.has_fallback:
                    exporter.keep(spans)
                    continue
            except BaseException:  # a signal's handler raised it, wherever that was: what arrives twice counts once
                self._put_back(batch)
                raise
            if spans:
                self._put_back(batch[len(batch) - len(spans) :])
                return

    def _take(self, number: int) -> list[tuple[ReadableSpan, int]]:
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(number, len(self._queue)))]
            self._bytes -= sum(size for _, size in batch)
        return batch

    def _take_all(self) -> list[ReadableSpan]:
        return [span for span, _ in self._take(len(self._queue))]

    def _put_back(self, batch: list[tuple[ReadableSpan, int]]) -> None:
        with self._lock:
            self._queue.extendleft(reversed(batch))
            self._bytes += sum(size for _, size in batch)

    def shutdown(self) -> None:
        """Export what is queued, within ``patience``; what is left, or ends later, goes to the fallback."""
        if self._is_shut_down:
            return
        self._check_process()
        if self._report is not None:
            self._report()
        self._is_shut_down = True
        exporter = self._exporter
        if not exporter.only_keeps and (exporter.is_healthy or not exporter.has_fallback):
            self._export_until(time.monotonic() + self._patience)
        self._gives_up = True
        exporter.interrupt()
        worker = self._worker
        if worker is not None:
            worker.stop()
            worker.join(_KEEPING if exporter.has_fallback else _INTERRUPTION)
        self._is_closed = True
        self._hand_over(self._take_all())
        unknown = exporter.counts.ended - exporter.counts.settled
        if unknown > 0 and not self._is_inline:
            log.warn(
                "late_spans", "coverage: %d spans were being exported as the process ended", unknown, count=unknown
            )
        exporter.shutdown()

    def _export_until(self, deadline: float) -> None:
        if self._queue and self._worker is None:
            self._wake(is_urgent=True)
        worker = self._worker
        while worker is not None and worker.is_alive() and (self._queue or worker.is_exporting):
            worker.flush(max(0.0, deadline - time.monotonic()))
            left = deadline - time.monotonic()
            if left <= 0 or not (self._queue or worker.is_exporting):
                return
            if self._exporter.has_fallback and not self._exporter.is_healthy:
                return
            time.sleep(min(_RETRY, left))

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Export what is queued. Returns whether every span was accepted that has ended in this process."""
        return self.flush(timeout_millis / 1000)

    def flush(self, timeout: float) -> bool:
        """Export what is queued.

        Args:
            timeout: seconds.

        Returns:
            Whether the receiver, or the spool, has accepted every span that ended in this process until now.
        """
        self._check_process()
        target = self._exporter.counts.ended
        worker = self._worker
        if self._is_inline:
            self._export_queue()
        elif worker is not None and worker.is_alive():
            worker.flush(timeout)
        elif self._queue:
            self._wake(is_urgent=True)
            worker = self._worker
            if worker is not None:
                worker.flush(timeout)
        counts = self._exporter.counts
        missing = target - counts.settled
        if missing > 0 and worker is not None and worker.is_exporting:
            log.warn("late_spans", "coverage: %d spans were not delivered within %s s", missing, timeout)
        return missing <= 0 and counts.lost == 0


class _Worker:
    """The thread that exports.

    Args:
        processor: whose queue it exports.
    """

    def __init__(self, processor: CountingSpanProcessor) -> None:
        self._processor = processor
        self._condition = threading.Condition()
        self._has_spans = False
        self._is_urgent = False
        self._is_stopped = False
        self._asked = 0  # exports that somebody waits for
        self._done = 0
        self.is_exporting = False
        self._thread = threading.Thread(target=self._run, name="otel-coverage-export", daemon=True)

    def start(self) -> bool:
        """Start it, in a context that belongs to no request. Returns whether the system had a thread left."""
        token = otel_context.attach(Context())
        try:
            self._thread.start()
        except Exception as error:
            log.failed("starting to send spans", error)
            return False
        finally:
            otel_context.detach(token)
        return True

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """There are spans: they are exported after the delay."""
        if not self._has_spans:
            with self._condition:
                self._has_spans = True
                self._condition.notify_all()

    def hurry(self) -> None:
        """There are many spans: they are exported now."""
        if not self._is_urgent:
            with self._condition:
                self._has_spans = self._is_urgent = True
                self._condition.notify_all()

    def stop(self) -> None:
        """End after the export in progress."""
        with self._condition:
            self._is_stopped = True
            self._condition.notify_all()

    def join(self, timeout: float) -> None:
        """Wait for its end, for some seconds."""
        self._thread.join(timeout)

    def flush(self, timeout: float) -> None:
        """Wait until what is queued now was exported, or that failed; for some seconds."""
        with self._condition:
            self._asked += 1
            asked = self._asked
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._done >= asked or not self._thread.is_alive(), timeout)

    def _run(self) -> None:
        processor = self._processor
        while True:
            delay = processor._limits.delay if processor._limits is not None else SPOOL_DELAY
            with self._condition:
                self._condition.wait_for(lambda: self._has_spans or self._is_due())
                delay = max(delay, processor._exporter.pause)
                self._condition.wait_for(self._is_due, delay)
                if self._is_stopped:
                    return
                asked = self._asked
                is_forced = asked > self._done
                self._has_spans = self._is_urgent = False
                self.is_exporting = True
            try:
                processor._export_queue(is_forced=is_forced)
            except Exception as error:
                log.failed("sending spans", error)
            with self._condition:
                self._done = asked
                self.is_exporting = False
                if processor._queue:
                    self._has_spans = True
                self._condition.notify_all()

    def _is_due(self) -> bool:
        is_paused = self._processor._exporter.pause > 0 and not self._processor._exporter.has_fallback
        return self._is_stopped or self._asked > self._done or (self._is_urgent and not is_paused)


def _ends_something(span: ReadableSpan) -> bool:
    """Whether nothing may follow that would export it: the end of a request or job, or what is left of it."""
    if span.parent is None or span.parent.is_remote:
        return True
    role = (span.attributes or {}).get(ROLE)
    return role is not None and role != "producer"


def _number(variable: str, default: float) -> float:
    try:
        number = float(os.environ.get(variable, ""))
    except ValueError:
        return default
    return number if number > 0 else default
