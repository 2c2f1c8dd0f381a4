"""The playback's own spans, and whether they arrived: without them a run looks as if it had never been played."""

from __future__ import annotations

from dataclasses import dataclass

from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_coverage.tracing.batching import CountingSpanProcessor
from otel_coverage.tracing.exporter import BoundedSpanExporter
from otel_coverage.tracing.provider import exporter_makers

SERVICE = "otel-coverage-playback"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A provider for the playback's spans, and the account of what became of them."""

    provider: TracerProvider
    exporters: tuple[BoundedSpanExporter, ...]

    @classmethod
    def open(cls) -> Delivery:
        """Send where the standard ``OTEL_*`` variables say.

        Raises:
            ConfigurationError: they name an exporter that is not installed.
        """
        exporters = tuple(BoundedSpanExporter(make) for make in exporter_makers().values())
        named = SERVICE_NAME in OTELResourceDetector().detect().attributes
        resource = Resource.create({} if named else {SERVICE_NAME: SERVICE})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for exporter in exporters:
            provider.add_span_processor(CountingSpanProcessor(exporter))
        return cls(provider, exporters)

    def close(self) -> int:
        """Send what is left.

        Returns:
            How many spans ended that no receiver has acknowledged.
        """
        self.provider.shutdown()
        return sum(exporter.counts.ended - exporter.counts.delivered for exporter in self.exporters)
