"""Spans as a serialized OTLP request, written directly.

OpenTelemetry's own encoder makes an object of protobuf's for each attribute, and for each name in an array, and imports
protobuf: in a process that was forked for one job this takes as long as the rest of the tracing. What describes a
process or a tracer is the same on all of its spans: it is encoded once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext

from otel_coverage.tracing.log import log

# tags of OTLP's messages: a field's number, and how its value is written
_RESOURCE_SPANS = b"\x0a"  # of ExportTraceServiceRequest
_RESOURCE, _SCOPE_SPANS = b"\x0a", b"\x12"  # of ResourceSpans
_SCOPE, _SPAN = b"\x0a", b"\x12"  # of ScopeSpans
_SCHEMA_URL = b"\x1a"  # of both
_KEY, _VALUE = b"\x0a", b"\x12"  # of KeyValue
_STRING, _BOOL, _INT, _DOUBLE, _ARRAY, _MAP, _BYTES = b"\x0a", b"\x10", b"\x18", b"\x21", b"\x2a", b"\x32", b"\x3a"
_ITEM = b"\x0a"  # of ArrayValue and KeyValueList
_SHORT = [bytes((0x0A, length + 2, 0x0A, length)) for length in range(126)]  # an item that is a string of that length

_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200  # SpanFlags
_FIXED64 = struct.Struct("<Q")
_FLAGS = struct.Struct("<HI")
_FLAGS_TAG = 0x185  # field 16, four bytes
_LINK_FLAGS = struct.Struct("<BI")
_LINK_FLAGS_TAG = 0x35
_INT_BITS = 63

_MOST_KEPT = 64
_kept: dict[int, tuple[object, bytes]] = {}  # by id of what was encoded, which is kept with it


def encode_request(spans: Sequence[ReadableSpan]) -> bytes:
    """A serialized ``ExportTraceServiceRequest``. An attribute that OTLP cannot hold is left out, and logged."""
    groups: dict[int, tuple[Resource, dict[int, tuple[InstrumentationScope | None, list[bytes]]]]] = {}
    for span in spans:
        resource, scope = span.resource, span.instrumentation_scope
        _, scopes = groups.setdefault(id(resource), (resource, {}))
        _, encoded = scopes.setdefault(id(scope), (scope, []))
        encoded.append(_field(_SPAN, _span(span)))
    return b"".join(
        _field(
            _RESOURCE_SPANS,
            _field(_RESOURCE, encode_resource(resource))
            + b"".join(
                _field(_SCOPE_SPANS, _scope(scope) + b"".join(encoded) + _schema(scope))
                for scope, encoded in scopes.values()
            )
            + _text(_SCHEMA_URL, resource.schema_url),
        )
        for resource, scopes in groups.values()
    )


def encode_resource(resource: Resource) -> bytes:
    """A serialized ``Resource``."""
    attributes = resource.attributes or {}
    found = _kept.get(id(attributes))
    if found is not None and found[0] is attributes:
        return found[1]
    return _keep(attributes, b"".join(_attributes(b"\x0a", attributes)))


def _keep(of: object, encoded: bytes) -> bytes:
    if len(_kept) >= _MOST_KEPT:
        _kept.clear()
    _kept[id(of)] = (of, encoded)
    return encoded


def _scope(scope: InstrumentationScope | None) -> bytes:
    """The field of ``ScopeSpans``."""
    found = _kept.get(id(scope))
    if found is not None and found[0] is scope:
        return found[1]
    encoded = b""
    if scope is not None:
        attributes = b"".join(_attributes(b"\x1a", scope.attributes))
        encoded = _text(b"\x0a", scope.name) + _text(b"\x12", scope.version) + attributes
    return _keep(scope, _field(_SCOPE, encoded))


def _schema(scope: InstrumentationScope | None) -> bytes:
    return b"" if scope is None else _text(_SCHEMA_URL, scope.schema_url)


def _span(span: ReadableSpan) -> bytes:
    context, parent, status = span.get_span_context(), span.parent, span.status
    if context is None:
        raise ValueError(f"the span {span.name!r} has no context")
    parts = [
        b"\x0a\x10",
        context.trace_id.to_bytes(16, "big"),
        b"\x12\x08",
        context.span_id.to_bytes(8, "big"),
        _text(b"\x1a", ",".join(f"{key}={value}" for key, value in context.trace_state.items())),
    ]
    if parent is not None:
        parts += (b"\x22\x08", parent.span_id.to_bytes(8, "big"))
    parts += (
        _text(b"\x2a", span.name),
        b"\x30",
        _number(span.kind.value + 1),
        _time(b"\x39", span.start_time),
        _time(b"\x41", span.end_time),
    )
    parts += _attributes(b"\x4a", span.attributes)
    parts.append(_count(b"\x50", span.dropped_attributes))
    parts += (_field(b"\x5a", _event(event)) for event in span.events)
    parts.append(_count(b"\x60", span.dropped_events))
    parts += (_field(b"\x6a", _link(link)) for link in span.links)
    parts.append(_count(b"\x70", span.dropped_links))
    parts.append(_field(b"\x7a", _text(b"\x12", status.description) + _count(b"\x18", status.status_code.value)))
    parts.append(_FLAGS.pack(_FLAGS_TAG, _flags(parent)))
    return b"".join(parts)


def _event(event: Event) -> bytes:
    dropped = _count(b"\x20", event.dropped_attributes)
    attributes = b"".join(_attributes(b"\x1a", event.attributes))
    return _time(b"\x09", event.timestamp) + _text(b"\x12", event.name) + attributes + dropped


def _link(link: Link) -> bytes:
    context = link.context
    return b"".join(
        (
            b"\x0a\x10",
            context.trace_id.to_bytes(16, "big"),
            b"\x12\x08",
            context.span_id.to_bytes(8, "big"),
            *_attributes(b"\x22", link.attributes),
            _count(b"\x28", link.dropped_attributes),
            _LINK_FLAGS.pack(_LINK_FLAGS_TAG, _flags(context)),
        )
    )


def _flags(context: SpanContext | None) -> int:
    return _HAS_IS_REMOTE | _IS_REMOTE if context is not None and context.is_remote else _HAS_IS_REMOTE


def _attributes(tag: bytes, attributes: Mapping[str, object] | None) -> Iterator[bytes]:
    for name, value in (attributes or {}).items():
        try:
            pair = _pair(name, value)
        except Exception as error:  # the span is worth more than one of its attributes
            log.failed("encoding an attribute of a span", error)
            continue
        yield _field(tag, pair)


def _pair(name: str, value: object) -> bytes:
    key, any_value = name.encode(), _any_value(value)
    return b"".join((_KEY, _number(len(key)), key, _VALUE, _number(len(any_value)), any_value))


def _any_value(value: object) -> bytes:
    if isinstance(value, str):
        return _field(_STRING, value.encode())
    if isinstance(value, bool):
        return _BOOL + (b"\x01" if value else b"\x00")
    if isinstance(value, int):
        if not -(1 << _INT_BITS) <= value < 1 << _INT_BITS:
            raise ValueError("an integer has more than 64 bits")
        return _INT + _number(value & 0xFFFFFFFFFFFFFFFF)
    if value is None:
        return b""
    if isinstance(value, float):
        return _DOUBLE + struct.pack("<d", value)
    if isinstance(value, bytes):
        return _field(_BYTES, value)
    if isinstance(value, Sequence):
        return _field(_ARRAY, _array(value))
    if isinstance(value, Mapping):
        return _field(_MAP, b"".join(_field(_ITEM, _pair(str(key), each)) for key, each in value.items()))
    raise TypeError(f"OTLP has no attributes of type {type(value).__name__}")


def _array(values: Sequence[object]) -> bytes:
    parts: list[bytes] = []
    for value in values:
        if type(value) is str:
            text = value.encode()
            size = len(text)
            if size < len(_SHORT):
                parts.append(_SHORT[size])
            else:
                inner = _STRING + _number(size)
                parts.append(_ITEM + _number(len(inner) + size) + inner)
            parts.append(text)
        else:
            parts.append(_field(_ITEM, _any_value(value)))
    return b"".join(parts)


def _field(tag: bytes, content: bytes) -> bytes:
    size = len(content)
    return tag + (bytes((size,)) if size < 0x80 else _number(size)) + content


def _text(tag: bytes, text: str | None) -> bytes:
    """A field of a message's own; an empty one is left out. What no encoding has is replaced: the rest is kept."""
    return _field(tag, text.encode("utf-8", "replace")) if text else b""


def _time(tag: bytes, nanoseconds: int | None) -> bytes:
    return tag + _FIXED64.pack(nanoseconds) if nanoseconds else b""


def _count(tag: bytes, number: int) -> bytes:
    return tag + _number(number) if number else b""


def _number(number: int) -> bytes:
    """A number as protobuf's varint."""
    if number < 0x80:
        return bytes((number,))
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
