"""What a trace back end other than ClickHouse gets: spans without the sets that only ClickHouse needs."""

from __future__ import annotations

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.support.collector import Collector, collector
from tests.support.compose import ROOT
from tests.support.rotel import rotel_with

__all__ = ["collector"]

FOLDER = ROOT / "collector-config"
SETS = {"coverage.functions", "coverage.lines", "coverage.arcs", "coverage.routes"}
KEPT = {"playback.profile": "checkout", "coverage.function_count": 2, "http.route": "/orders"}


def request() -> ExportTraceServiceRequest:
    texts = AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="shop.orders:Order.total@42")]))
    span = Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="POST /orders", kind=Span.SPAN_KIND_SERVER)
    span.attributes.extend(KeyValue(key=key, value=texts) for key in sorted(SETS))
    for key, value in KEPT.items():
        kept = AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=str(value))
        span.attributes.append(KeyValue(key=key, value=kept))
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])])


@pytest.mark.until(3, 13)  # Rotel's wheel
def test_rotel_sends_spans_without_their_sets(collector: Collector) -> None:
    processor = str(FOLDER / "rotel_without_sets.py")
    exporter = ["--exporter", "otlp", "--otlp-exporter-endpoint", collector.endpoint]
    with (
        rotel_with(*exporter, "--otlp-with-trace-processor", processor) as agent,
        grpc.insecure_channel(agent.grpc) as channel,
    ):
        TraceServiceStub(channel).Export(request(), timeout=60)  # type: ignore[no-untyped-call]
        (span,) = collector.wait_for(bool)
    assert span.attributes == KEPT
