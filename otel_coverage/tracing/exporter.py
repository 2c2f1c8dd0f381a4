"""Around the standard exporter: batches that a receiver takes, and a truthful account of what became of them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from otel_coverage.tracing.log import log, logger
from otel_coverage.tracing.sizes import span_size

# OTLP/gRPC receivers refuse messages over 4 MiB unless told otherwise; the margin is for the message around the spans
MESSAGE_BYTES = 4 * 1024 * 1024 - 64 * 1024


@dataclass(slots=True)
class Delivery:
    """What became of the spans that ended in this process."""

    ended: int = 0
    delivered: int = 0
    refused: int = 0


class BoundedSpanExporter(SpanExporter):
    """Exports in messages of bounded size, through an exporter that is made when it is needed first.

    A channel that was made before a fork is left to the parent: a child makes its own.

    Args:
        make: makes the exporter that sends.
        message_bytes: no message is larger, unless one span alone is.
    """

    def __init__(self, make: Callable[[], SpanExporter], *, message_bytes: int = MESSAGE_BYTES) -> None:
        self._make = make
        self._message_bytes = message_bytes
        self._exporter: SpanExporter | None = None
        self._inherited: SpanExporter | None = None
        self._lock = threading.Lock()
        self.delivery = Delivery()
        os.register_at_fork(after_in_child=self._after_fork)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send, and count what was and was not accepted."""
        results = [self._send(batch) for batch in self._batches(spans)]
        return SpanExportResult.SUCCESS if all(results) else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Close the connection; say once more what was lost."""
        if self._exporter is not None:
            self._exporter.shutdown()
        if self.delivery.refused:
            logger.warning("coverage: %d spans of this process were lost", self.delivery.refused)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing is held back here."""
        return True

    def count_ended(self) -> None:
        """One more span is to be delivered."""
        with self._lock:
            self.delivery.ended += 1

    def count_refused(self, number: int) -> None:
        """Spans that will never be delivered."""
        with self._lock:
            self.delivery.refused += number

    def _batches(self, spans: Sequence[ReadableSpan]) -> Iterator[list[ReadableSpan]]:
        batch: list[ReadableSpan] = []
        total = 0
        for span in spans:
            size = span_size(span)
            if batch and total + size > self._message_bytes:
                yield batch
                batch, total = [], 0
            batch.append(span)
            total += size
        if batch:
            yield batch

    def _send(self, batch: list[ReadableSpan]) -> bool:
        error: Exception | None = None
        accepted = False
        try:
            if self._exporter is None:
                _make_grpc_cooperative()
                self._exporter = self._make()
            accepted = self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception as raised:  # the SDK would log it and forget the spans
            error = raised
        with self._lock:
            if accepted:
                self.delivery.delivered += len(batch)
            else:
                self.delivery.refused += len(batch)
        if not accepted:
            log.warn(
                "lost_spans",
                "coverage: %d spans were not delivered (%s): is the collector up? Their coverage is missing",
                len(batch),
                error or _where(),
                count=len(batch),
            )
        return accepted

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._inherited, self._exporter = self._exporter, None  # kept: to drop it would close the parent's connection
        self.delivery = Delivery()


class CountingSpanProcessor(SpanProcessor):
    """The SDK's batch processor, with the exporter told of every span that it is going to be sent.

    It comes to life, and starts its thread, with the first span: uWSGI forks without telling Python, and what walks the
    frames of all threads in such a child (``sys.monitoring`` does) crashes on those of threads that are no more.

    Args:
        exporter: receives the batches.
    """

    def __init__(self, exporter: BoundedSpanExporter) -> None:
        self._delivery = exporter
        self._batches: BatchSpanProcessor | None = None
        self._early: list[ReadableSpan] = []  # they wait for that
        self._is_shut_down = False
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._after_fork)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span."""
        if span.context is None or not span.context.trace_flags.sampled or self._is_shut_down:
            return
        self._delivery.count_ended()
        batches = self._batches
        if batches is None:
            with self._lock:
                batches, is_first = self._batches, not self._early
                if batches is None:
                    self._early.append(span)
            if batches is None:
                if is_first:
                    self._come_to_life()
                return
        batches.on_end(span)

    def _come_to_life(self) -> None:
        """Not under the lock: where gevent has replaced threads, to start one lets other greenlets run, and a lock that
        was made before would stop them, and this one, for ever.
        """
        batches: BatchSpanProcessor | None = None
        try:
            batches = BatchSpanProcessor(self._delivery)
        except Exception as error:  # the system may have no thread left
            log.failed("starting to send spans", error)
        with self._lock:
            self._batches, early, self._early = batches, self._early, []
        if batches is None:
            self._delivery.count_refused(len(early))
            return
        for span in early:
            batches.on_end(span)
        if self._is_shut_down:
            batches.shutdown()  # type: ignore[no-untyped-call]

    def shutdown(self) -> None:
        """Send what waits, and take nothing more."""
        self._is_shut_down = True
        if self._batches is not None:
            self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what waits; the SDK's own answer says only that it has tried."""
        return self._batches is None or self._batches.force_flush(timeout_millis)

    def flush(self, timeout: float) -> bool:
        """Send what waits.

        Args:
            timeout: seconds; the SDK's ``force_flush`` knows no limit of its own.

        Returns:
            Whether every span that had ended by now was accepted by the receiver, those of earlier flushes included.
        """
        target = self._delivery.delivery.ended
        flushing = threading.Thread(target=self.force_flush, name="otel-coverage-flush", daemon=True)
        flushing.start()
        flushing.join(timeout)
        delivery = self._delivery.delivery
        missing = target - delivery.delivered - delivery.refused
        if missing > 0 and flushing.is_alive():
            log.warn("late_spans", "coverage: %d spans are not delivered yet, after %s s", missing, timeout)
        elif missing > 0:
            log.warn("lost_spans", "coverage: %d spans were dropped by a full queue", missing, count=missing)
        return missing <= 0 and delivery.refused == 0

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        if self._batches is None:
            self._early = []  # the parent's


def _make_grpc_cooperative() -> None:
    """Where gevent has replaced threads, a call that waits for the collector would stop every greenlet."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return
    try:
        from grpc.experimental.gevent import init_gevent
    except ImportError:
        return  # spans go another way, over sockets that gevent has replaced
    init_gevent()


def _where() -> str:
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return endpoint or "http://localhost:4317"
