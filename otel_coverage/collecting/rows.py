"""Rows of ``otel_traces`` from OTLP requests, as otelcol's ClickHouse exporter writes them.

Attribute values become text in a Map of strings. Arrays and maps become JSON in the form of Go's encoder: ``<``, ``>``
and ``&`` escaped, keys sorted.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

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

_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_STATUSES = ("Unset", "Ok", "Error")
_MAX_TIME = 2**63 - 1  # nanoseconds since 1970; the largest DateTime64(9), in 2262


def rows_of(request: ExportTraceServiceRequest) -> Iterator[Row]:
    """One row for each span, with values in the order of :data:`COLUMNS`. No request makes it raise."""
    for resource_spans in request.resource_spans:
        resource = attributes_as_text(resource_spans.resource.attributes)
        service = resource.get("service.name", "")
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope
            for span in scope_spans.spans:
                yield row_of(span, service, resource, scope)


def row_of(span: Span, service: str, resource: dict[str, str], scope: InstrumentationScope) -> Row:
    """The row of one span.

    Args:
        span: the span.
        service: its resource's ``service.name``.
        resource: its resource's attributes as text.
        scope: its scope.
    """
    events, links = span.events, span.links
    return (
        _time(span.start_time_unix_nano),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.trace_state,
        span.name,
        _enum_name(_KINDS, span.kind),
        service,
        resource,
        scope.name,
        scope.version,
        attributes_as_text(span.attributes),
        max(span.end_time_unix_nano - span.start_time_unix_nano, 0),
        _enum_name(_STATUSES, span.status.code),
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
    return min(nanoseconds, _MAX_TIME)


def _enum_name(names: tuple[str, ...], number: int) -> str:
    """The name of an enumeration's value; empty for an unknown one."""
    return names[number] if 0 <= number < len(names) else ""


def attributes_as_text(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Key → value as text; of a repeated key the last value."""
    return {attribute.key: as_text(attribute.value) for attribute in attributes}


def as_text(value: AnyValue) -> str:
    """One value as text; empty for an unset one."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "bytes_value":
        return b64encode(value.bytes_value).decode()
    if kind == "double_value" and not math.isfinite(value.double_value):
        return f"json: unsupported value: {_unsupported(value.double_value)}"
    if kind is None:
        return ""
    try:
        return _as_json(value)
    except ValueError:  # it contains NaN or an infinity, which JSON cannot express
        return ""


def _as_json(value: AnyValue) -> str:
    match value.WhichOneof("value"):
        case "string_value":
            return _quoted(value.string_value)
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return number(value.double_value)
        case "bytes_value":
            return f'"{b64encode(value.bytes_value).decode()}"'
        case "array_value":
            values = value.array_value.values
            texts = [item.string_value for item in values]
            if all(texts):  # strings, as in all that we write ourselves, encoded at once; other kinds read as ""
                return _quoted(texts)
            return f"[{','.join(map(_as_json, values))}]"
        case "kvlist_value":
            members = {member.key: member.value for member in value.kvlist_value.values}
            return f"{{{','.join(f'{_quoted(key)}:{_as_json(members[key])}' for key in sorted(members))}}}"
        case _:
            return "null"


def number(value: float) -> str:
    """A double as Go's JSON encoder writes it: with an exponent only below 1e-6 and from 1e21.

    Raises:
        ValueError: the value is infinite or NaN.
    """
    if not math.isfinite(value):
        raise ValueError(value)
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    shortest = repr(value)
    if 1e-6 <= abs(value) < 1e21:
        if value.is_integer():
            return _integral(shortest)
        return shortest if "e" not in shortest else f"{value:.{_decimal_places(shortest)}f}"
    mantissa, _, exponent = shortest.partition("e")
    sign, digits = exponent[0], exponent[1:].lstrip("0")
    return f"{mantissa.removesuffix('.0')}e{sign}{digits}"


def _integral(shortest: str) -> str:
    """The shortest decimal as an integer: 1e+20 is 1 and twenty zeros, not the nearest binary value."""
    mantissa, _, exponent = shortest.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = fraction.rstrip("0")
    return whole + fraction + "0" * (int(exponent or 0) - len(fraction))


def _decimal_places(shortest: str) -> int:
    """Number of decimal places of a form with an exponent, when written without it."""
    mantissa, _, exponent = shortest.partition("e")
    return len(mantissa.partition(".")[2]) - int(exponent)


def _quoted(text: str | list[str]) -> str:
    encoded = _encode(text)
    for character, escaped in _ESCAPED.items():  # str.translate would look at each character in turn
        encoded = encoded.replace(character, escaped)
    return encoded


def _unsupported(value: float) -> str:
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
