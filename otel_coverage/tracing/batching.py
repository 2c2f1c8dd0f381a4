"""The span processor that queues spans for the exporter, and knows whether all of them were delivered."""

from __future__ import annotations

import os
import threading

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel_coverage.tracing.exporter import BoundedSpanExporter
from otel_coverage.tracing.log import log


class CountingSpanProcessor(SpanProcessor):
    """The SDK's batch processor, with a count of the spans that it is given: those that it drops, it does not count.

    Its thread starts with the first span, not before: uWSGI forks without running Python's fork hooks, and in such a
    child ``sys.monitoring`` walks the frames of all threads, those that exist no more included, and crashes.

    Args:
        exporter: receives the batches, and keeps the counts.
    """

    def __init__(self, exporter: BoundedSpanExporter) -> None:
        self._exporter = exporter
        self._batches: BatchSpanProcessor | None = None
        self._early: list[ReadableSpan] = []  # spans that ended while the batch processor was being made
        self._is_shut_down = False
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._after_fork)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span."""
        if span.context is None or not span.context.trace_flags.sampled or self._is_shut_down:
            return
        self._exporter.count_ended()
        batches = self._batches
        if batches is None:
            with self._lock:
                batches, is_first = self._batches, not self._early
                if batches is None:
                    self._early.append(span)
            if batches is None:
                if is_first:
                    self._start_batches()
                return
        batches.on_end(span)

    def _start_batches(self) -> None:
        # not under the lock: under gevent, starting a thread lets other greenlets run, and a lock that was made before
        # gevent replaced locks would block them all, and this one
        batches: BatchSpanProcessor | None = None
        try:
            batches = BatchSpanProcessor(self._exporter)
        except Exception as error:  # the system may have no thread left
            log.failed("starting to send spans", error)
        with self._lock:
            self._batches, early, self._early = batches, self._early, []
        if batches is None:
            self._exporter.count_lost(len(early))
            return
        for span in early:
            batches.on_end(span)
        if self._is_shut_down:
            batches.shutdown()  # type: ignore[no-untyped-call]

    def shutdown(self) -> None:
        """Send what is queued, and queue nothing more."""
        self._is_shut_down = True
        if self._batches is not None:
            self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what is queued. Returns whether that was tried, not whether it was accepted: see :meth:`flush`."""
        return self._batches is None or self._batches.force_flush(timeout_millis)

    def flush(self, timeout: float) -> bool:
        """Send what is queued.

        Args:
            timeout: seconds; the SDK's ``force_flush`` does not respect its own.

        Returns:
            Whether the receiver has accepted every span that ended in this process until now.
        """
        target = self._exporter.counts.ended
        flushing = threading.Thread(target=self.force_flush, name="otel-coverage-flush", daemon=True)
        flushing.start()
        flushing.join(timeout)
        counts = self._exporter.counts
        missing = target - counts.delivered - counts.lost
        if missing > 0 and flushing.is_alive():
            log.warn("late_spans", "coverage: %d spans were not delivered within %s s", missing, timeout)
        elif missing > 0:
            log.warn("lost_spans", "coverage: %d spans were dropped by a full queue", missing, count=missing)
        return missing <= 0 and counts.lost == 0

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        if self._batches is None:
            self._early = []  # the parent's
