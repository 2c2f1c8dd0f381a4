"""The embedded collector: OTLP in, rows of otel_traces out."""

from otel_coverage.collecting.collector import Collector
from otel_coverage.collecting.endpoint import Endpoint

__all__ = ["Collector", "Endpoint"]
