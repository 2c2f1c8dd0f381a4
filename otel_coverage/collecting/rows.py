"""From an OTLP request to rows of ``otel_traces``, as otelcol's ClickHouse exporter would write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_coverage.collecting.values import attributes_as_text

Row = tuple[Any, ...]

TABLE = "otel_traces"
COLUMNS = (
    "Timestamp",
    "TraceId",
    "SpanId",
    "ParentSpanId",
    "TraceState",
    "SpanName",
    "SpanKind",
    "ServiceName",
    "ResourceAttributes",
    "ScopeName",
    "ScopeVersion",
    "SpanAttributes",
    "Duration",
    "StatusCode",
    "StatusMessage",
    "Events.Timestamp",
    "Events.Name",
    "Events.Attributes",
    "Links.TraceId",
    "Links.SpanId",
    "Links.TraceState",
    "Links.Attributes",
)

_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_STATUSES = ("Unset", "Ok", "Error")
_LATEST = 2**63 - 1  # nanoseconds since 1970 that a DateTime64(9) holds: until 2262


def rows_of(request: ExportTraceServiceRequest) -> Iterator[Row]:
    """A row for each span, its values in the order of :data:`COLUMNS`. Every request has rows; none raises."""
    for resource_spans in request.resource_spans:
        resource = attributes_as_text(resource_spans.resource.attributes)
        service = resource.get("service.name", "")
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope
            for span in scope_spans.spans:
                yield _row(span, service, resource, scope.name, scope.version)


def _row(span: Span, service: str, resource: dict[str, str], scope_name: str, scope_version: str) -> Row:
    events, links = span.events, span.links
    return (
        _time(span.start_time_unix_nano),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.trace_state,
        span.name,
        _word(_KINDS, span.kind),
        service,
        resource,
        scope_name,
        scope_version,
        attributes_as_text(span.attributes),
        max(span.end_time_unix_nano - span.start_time_unix_nano, 0),
        _word(_STATUSES, span.status.code),
        span.status.message,
        [_time(event.time_unix_nano) for event in events],
        [event.name for event in events],
        [attributes_as_text(event.attributes) for event in events],
        [link.trace_id.hex() for link in links],
        [link.span_id.hex() for link in links],
        [link.trace_state for link in links],
        [attributes_as_text(link.attributes) for link in links],
    )


def _time(nanoseconds: int) -> int:
    return min(nanoseconds, _LATEST)


def _word(words: tuple[str, ...], number: int) -> str:
    """The word for an enumeration's value; empty for one that this version does not know."""
    return words[number] if 0 <= number < len(words) else ""
