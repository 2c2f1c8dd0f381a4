"""The playback's own spans, and whether they arrived: without them a run looks as if it had never been played."""

from __future__ import annotations

import os
from collections.abc import Sequence

from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

SERVICE = "otel-coverage-playback"


class Delivery(SpanProcessor):
    """Counts the spans that ended against those that a collector acknowledged.

    The SDK's own answers cannot be relied on: its ``force_flush`` says yes after a failed export, too.
    """

    def __init__(self, exporter: SpanExporter | None) -> None:
        self._counting = _CountingExporter(exporter) if exporter is not None else None
        self._batches = BatchSpanProcessor(self._counting) if self._counting is not None else None
        self._ended = 0

    @property
    def lost(self) -> int:
        """Spans that ended and were not acknowledged; zero where none are to be sent at all."""
        return self._ended - self._counting.delivered if self._counting is not None else 0

    def on_start(self, span: Span, parent_context: object = None) -> None:
        """Nothing to do yet."""

    def on_end(self, span: ReadableSpan) -> None:
        """Hand the span on."""
        if self._batches is not None and span.context is not None and span.context.trace_flags.sampled:
            self._ended += 1
            self._batches.on_end(span)

    def shutdown(self) -> None:
        """Send what is left."""
        if self._batches is not None:
            self._batches.force_flush()
            self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is there; True once all of it has arrived."""
        if self._batches is not None:
            self._batches.force_flush(timeout_millis)
        return self.lost == 0


def open_delivery() -> tuple[TracerProvider, Delivery]:
    """A provider for the playback's spans, sent where the standard ``OTEL_*`` variables say."""
    delivery = Delivery(_exporter())
    named = OTELResourceDetector().detect().attributes
    resource = Resource.create({} if SERVICE_NAME in named else {SERVICE_NAME: SERVICE})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(delivery)
    return provider, delivery


def _exporter() -> SpanExporter | None:
    if os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none":
        return None
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


class _CountingExporter(SpanExporter):
    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.delivered = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.delivered += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
