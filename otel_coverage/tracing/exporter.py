"""The span exporter around the standard one: messages of bounded size, and counts of what was delivered."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_coverage.tracing.log import log, logger

# gRPC servers refuse messages over 4 MiB by default; the margin is for the message around the spans
MESSAGE_BYTES = 4 * 1024 * 1024 - 64 * 1024

# upper bounds, in bytes
_SPAN = 256  # ids, times, kind, status and the fields around them
_FIELD = 24  # tags and lengths around one key or value
_NUMBER = 10


@dataclass(slots=True)
class ExportCounts:
    """What became of the spans that ended in this process.

    Attributes:
        ended: sampled spans that were to be exported.
        delivered: spans that the receiver accepted.
        lost: spans that were given up.
    """

    ended: int = 0
    delivered: int = 0
    lost: int = 0


class BoundedSpanExporter(SpanExporter):
    """Exports in messages of bounded size, through an exporter that is made for the first of them.

    An exporter that was made before a fork is left to the parent: a child makes its own.

    Args:
        make: makes the exporter that sends.
        message_bytes: no message is larger, unless a single span is.

    Attributes:
        counts: what became of this process's spans; a child of a fork starts at zero.
    """

    def __init__(self, make: Callable[[], SpanExporter], *, message_bytes: int = MESSAGE_BYTES) -> None:
        self._make = make
        self._message_bytes = message_bytes
        self._exporter: SpanExporter | None = None
        self._inherited: SpanExporter | None = None
        self._lock = threading.Lock()
        self.counts = ExportCounts()
        os.register_at_fork(after_in_child=self._after_fork)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send, and count what was accepted. Never raises."""
        results = [self._send(batch) for batch in self._batches(spans)]
        return SpanExportResult.SUCCESS if all(results) else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Close the connection; log how many spans were lost, if any."""
        if self._exporter is not None:
            self._exporter.shutdown()
        if self.counts.lost:
            logger.warning("coverage: %d spans of this process were lost", self.counts.lost)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """True: nothing is buffered here."""
        return True

    def count_ended(self) -> None:
        """One more span is to be exported."""
        with self._lock:
            self.counts.ended += 1

    def count_lost(self, number: int) -> None:
        """That many spans will not be exported."""
        with self._lock:
            self.counts.lost += number

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
        except Exception as raised:  # the SDK would log it and lose count of the spans
            error = raised
        with self._lock:
            if accepted:
                self.counts.delivered += len(batch)
            else:
                self.counts.lost += len(batch)
        if not accepted:
            log.warn(
                "lost_spans",
                "coverage: %d spans were not delivered (%s), their coverage is missing; is the collector running?",
                len(batch),
                error or _endpoint(),
                count=len(batch),
            )
        return accepted

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._inherited, self._exporter = self._exporter, None  # kept: freeing it would close the parent's connection
        self.counts = ExportCounts()


def span_size(span: ReadableSpan) -> int:
    """An upper bound of the span's bytes in an OTLP message, without encoding it.

    Its resource and scope are included, though spans in one message share them.
    """
    scope = span.instrumentation_scope
    status = span.status.description or ""
    return (
        _SPAN
        + len(span.name.encode("utf-8", "replace"))
        + len(status.encode("utf-8", "replace"))
        + _attributes(span.attributes)
        + sum(
            _SPAN + len(event.name.encode("utf-8", "replace")) + _attributes(event.attributes) for event in span.events
        )
        + sum(_SPAN + _trace_state(link.context.trace_state) + _attributes(link.attributes) for link in span.links)
        + (_trace_state(span.context.trace_state) if span.context is not None else 0)
        + _attributes(span.resource.attributes)
        + (0 if scope is None else _SPAN + _value(scope.name) + _value(scope.version) + _attributes(scope.attributes))
    )


def _trace_state(state: Mapping[str, str]) -> int:
    return sum(len(key) + len(value) + 2 for key, value in state.items())


def _attributes(attributes: Mapping[str, object] | None) -> int:
    return sum(_FIELD + len(str(key).encode()) + _value(value) for key, value in (attributes or {}).items())


def _value(value: object) -> int:
    if isinstance(value, str):
        return _FIELD + len(value.encode("utf-8", "replace"))
    if isinstance(value, bytes):
        return _FIELD + len(value)
    if isinstance(value, Mapping):
        return _FIELD + _attributes(value)
    if isinstance(value, Sequence):
        return _FIELD + sum(_value(item) for item in value)
    return _FIELD + _NUMBER


def _make_grpc_cooperative() -> None:
    """Have gRPC yield to other greenlets while it waits, where gevent has replaced threads."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return
    try:
        from grpc.experimental.gevent import init_gevent
    except ImportError:
        return  # the exporter is not gRPC's, and uses sockets that gevent has replaced
    init_gevent()


def _endpoint() -> str:
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if endpoint:
        return endpoint
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    return "http://localhost:4318" if (protocol or "").startswith("http") else "http://localhost:4317"
