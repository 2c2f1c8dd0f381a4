"""This package's metrics, as otelcol's ClickHouse exporter writes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint, Sum
from opentelemetry.sdk.resources import Resource

from otel_coverage.store import Store
from otel_coverage.tracing.log import log
from otel_coverage.tracing.metrics import Gauges, metrics, totals

_COMMON = """
    ResourceAttributes Map(LowCardinality(String), String), ScopeName String, ServiceName LowCardinality(String),
    MetricName String, MetricUnit String, Attributes Map(LowCardinality(String), String),
    StartTimeUnix DateTime64(9), TimeUnix DateTime64(9),
"""
_TABLES = {  # the columns that its documentation lists, but for those that nothing here reads
    "otel_metrics_sum": "Value Float64, AggregationTemporality Int32, IsMonotonic Bool",
    "otel_metrics_gauge": "Value Float64",
    "otel_metrics_histogram": "Count UInt64, Sum Float64, BucketCounts Array(UInt64), ExplicitBounds Array(Float64)",
}
_SERVICE = "shop-web"


def insert_metrics(store: Store, at: datetime) -> None:
    """Create the exporter's tables, and insert what a process reports twice, ten minutes apart, from ``at`` on."""
    for table, own in _TABLES.items():
        store.command(f"CREATE TABLE {table} ({_COMMON} {own}) ENGINE = MergeTree ORDER BY (MetricName, TimeUnix)")
    reader = InMemoryMetricReader()
    set_meter_provider(MeterProvider([reader], Resource({"service.name": _SERVICE, "service.instance.id": "1"})))
    spans = {"spooled": 0, "delivered": 0, "lost": 0}
    metrics.observe(Gauges(lambda: dict(spans), lambda: 2_000, lambda: 65_536))
    for collection in range(2):
        for stage in ("begin", "end", "encode", "export"):
            metrics.spent(stage, metrics.start())
        log.failed("being tried", ValueError("a failure that is counted"))
        totals.recordings += 19
        totals.bytes += 40_000
        spans["spooled"] += 19
        _insert(store, reader, at, at + timedelta(minutes=10 * collection))


def _insert(store: Store, reader: InMemoryMetricReader, start: datetime, at: datetime) -> None:
    rows: dict[str, list[dict[str, Any]]] = {}
    for table, row in _rows(reader):
        rows.setdefault(table, []).append({**row, "StartTimeUnix": start, "TimeUnix": at})
    for table, inserted in rows.items():
        columns = list(inserted[0])
        store.insert(table, columns, [[row[column] for column in columns] for row in inserted])


def _rows(reader: InMemoryMetricReader) -> Iterator[tuple[str, dict[str, Any]]]:
    data = reader.get_metrics_data()
    assert data is not None
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    row: dict[str, Any] = {
                        "ResourceAttributes": {key: str(value) for key, value in resource.resource.attributes.items()},
                        "ScopeName": scope.scope.name,
                        "ServiceName": _SERVICE,
                        "MetricName": metric.name,
                        "MetricUnit": metric.unit,
                        "Attributes": {key: str(value) for key, value in (point.attributes or {}).items()},
                    }
                    if isinstance(point, HistogramDataPoint):
                        buckets = {"BucketCounts": list(point.bucket_counts)}
                        bounds = {"ExplicitBounds": list(point.explicit_bounds)}
                        own = {"Count": point.count, "Sum": point.sum}
                        yield "otel_metrics_histogram", {**row, **own, **buckets, **bounds}
                    elif isinstance(point, NumberDataPoint) and isinstance(metric.data, Sum):
                        own = {"Value": float(point.value), "AggregationTemporality": 2, "IsMonotonic": True}
                        yield "otel_metrics_sum", {**row, **own}
                    elif isinstance(point, NumberDataPoint):
                        yield "otel_metrics_gauge", {**row, "Value": float(point.value)}


def in_the_past(hours: int) -> datetime:
    """A moment so many hours ago."""
    return datetime.now(timezone.utc) - timedelta(hours=hours)
