"""The embedded collector: OTLP in, rows of ``otel_traces`` out, and ClickHouse's HTTP interface to the store."""

from otel_coverage.collecting.clickhouse.request import Access
from otel_coverage.collecting.collector import Collector
from otel_coverage.collecting.servers import Endpoint

__all__ = ["Access", "Collector", "Endpoint"]
