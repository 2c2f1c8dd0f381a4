"""The serialized message is what OpenTelemetry's own encoder makes."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from otel_coverage.tracing.export.encoding import encode_request

texts = st.text(max_size=300)
values = st.one_of(
    texts,
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.floats(allow_nan=False),
    st.binary(max_size=40),
    st.lists(texts, max_size=40),
    st.lists(st.integers(-(2**63), 9)),
    st.lists(st.floats(allow_nan=False)),
    st.lists(st.booleans()),
    st.dictionaries(st.text(min_size=1, max_size=4), texts, max_size=3),
)
attributes = st.dictionaries(st.text(min_size=1, max_size=40), values, max_size=10)
REMOTE = SpanContext(
    0xA1, 0xB2, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("vendor", "a"), ("other", "b")])
)


def ended(
    provider: TracerProvider, name: str, attributes: dict[str, Any], kind: SpanKind = SpanKind.INTERNAL
) -> ReadableSpan:
    """A span with all that a span can have; one that is no root where its kind is not that of the default."""
    parent = Context() if kind is SpanKind.INTERNAL else set_span_in_context(NonRecordingSpan(REMOTE), Context())
    span: Any = provider.get_tracer("tracer", "1.2.3", "https://schema.example", {"of": "tracer"}).start_span(
        name, parent, kind, attributes, [Link(REMOTE, attributes), Link(SpanContext(1, 2, is_remote=False))]
    )
    span.add_event("event", attributes)
    if kind is SpanKind.SERVER:
        span.set_status(StatusCode.ERROR, f"failed: {name}")
    span.end()
    readable: ReadableSpan = span._readable_span()
    return readable


@settings(deadline=None)
@given(st.lists(attributes, min_size=1, max_size=5))
def test_a_message_is_the_same_whoever_encodes_it(each: list[dict[str, Any]]) -> None:
    provider = TracerProvider(
        shutdown_on_exit=False, resource=Resource({"service.name": "shop"}), span_limits=SpanLimits(max_attributes=8)
    )
    kinds = list(SpanKind)
    spans = [ended(provider, f"span {number}", found, kinds[number]) for number, found in enumerate(each)]
    message = ExportTraceServiceRequest.FromString(encode_request(spans))
    assert message == encode_spans(spans)


def test_large_sets_and_long_elements_arrive_whole() -> None:
    names = [f"shop.orders:Order.method_{number}@{number}" for number in range(50_000)]
    lines = ["shop/orders.py:" + ",".join(map(str, range(1, 40_000, 2))), *("x" * size for size in range(100, 300))]
    provider = TracerProvider(shutdown_on_exit=False)
    span = ended(provider, "s", {"coverage.functions": names, "coverage.lines": lines, "coverage.complete": True})
    (group,) = ExportTraceServiceRequest.FromString(encode_request([span])).resource_spans
    found = {pair.key: pair.value for pair in group.scope_spans[0].spans[0].attributes}
    assert [value.string_value for value in found["coverage.functions"].array_value.values] == names
    assert [value.string_value for value in found["coverage.lines"].array_value.values] == lines
    assert found["coverage.complete"].bool_value is True


def test_what_otlp_cannot_hold_costs_the_attribute_and_not_the_span() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    span = ended(provider, "name \udc80", {"kept": 1, "large": 2**70, "surrogate": "\udc80"})
    (group,) = ExportTraceServiceRequest.FromString(encode_request([span])).resource_spans
    (found,) = group.scope_spans[0].spans
    assert found.name == "name ?"
    assert {pair.key for pair in found.attributes} == {"kept"}


def test_spans_of_several_processes_and_tracers_lie_below_what_describes_each() -> None:
    shop, desk = (
        TracerProvider(shutdown_on_exit=False, resource=Resource({"service.name": name})) for name in ("shop", "desk")
    )
    spans = [ended(provider, "s", {}) for provider in (shop, desk, shop)]
    other: Any = desk.get_tracer("other").start_span("t", Context())
    other.end()
    message = ExportTraceServiceRequest.FromString(encode_request([*spans, other._readable_span()]))
    assert message == encode_spans([*spans, other._readable_span()])
