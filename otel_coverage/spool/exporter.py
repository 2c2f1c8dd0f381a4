"""The span exporter that appends to a spool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_coverage.spool.begun import settled
from otel_coverage.tracing.export.encoding import encode_request
from otel_coverage.tracing.log import log
from otel_coverage.tracing.metrics import metrics, totals


class Appendable(Protocol):
    """A :class:`~otel_coverage.spool.Spool`, or the service's."""

    def append(self, request: bytes) -> bool:
        """Keep a serialized request. Never raises. Returns whether it is kept."""


class SpoolExporter(SpanExporter):
    """Keeps spans for the spool's sender. It waits for nobody.

    Args:
        spool: where they are kept.
    """

    def __init__(self, spool: Appendable) -> None:
        self.spool = spool

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep spans. Never raises; ``FAILURE`` where none of them is kept."""
        try:
            started = metrics.start()
            request = encode_request(spans)
            totals.bytes += len(request)
            metrics.spent("encode", started)
        except Exception as error:
            log.failed("encoding spans", error)
            return SpanExportResult.FAILURE
        if not self.spool.append(request):
            return SpanExportResult.FAILURE
        settled(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing: what was kept stays."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """True: nothing is buffered here."""
        return True
