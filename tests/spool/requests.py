"""Serialized requests to keep in a spool, and what is in them."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

_tracer = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False).get_tracer("t")


def request(*names: str, size: int = 10, role: str = "server", run_id: str = "run-1") -> bytes:
    """A request with a span of that many bytes for each name; they belong to the profile checkout."""
    attributes = {"playback.profile": "checkout", "playback.run_id": run_id, "coverage.role": role}
    spans = [_tracer.start_span(name, attributes={**attributes, "filling": "x" * size}) for name in names]
    for span in spans:
        span.end()
    serialized: bytes = encode_spans([span for span in spans if isinstance(span, ReadableSpan)]).SerializeToString()
    return serialized


def spans_in(message: bytes) -> list[Span]:
    return [
        span
        for group in ExportTraceServiceRequest.FromString(message).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def names_in(message: bytes) -> list[str]:
    return [span.name for span in spans_in(message)]


def value(span: Span, key: str) -> str | int:
    """The value of an attribute that is a text or an integer."""
    (found,) = (pair.value for pair in span.attributes if pair.key == key)
    number: int = found.int_value
    text: str = found.string_value
    return text or number
