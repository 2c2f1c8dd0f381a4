"""The embedded collector: OTLP in, rows of otel_traces out, and ClickHouse's HTTP interface to them."""

from otel_coverage.collecting.clickhouse.access import Access
from otel_coverage.collecting.collector import Collector
from otel_coverage.collecting.endpoint import Endpoint

__all__ = ["Access", "Collector", "Endpoint"]
