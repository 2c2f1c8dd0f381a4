"""How many spans, attributes and values an OTLP message holds: counted before it is parsed.

In bytes alone a message is not bounded: two bytes are a span, and become some hundred in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MAX_SPANS = 100_000
MAX_ELEMENTS = 1_000_000  # resources, scopes, spans, events, links, attributes, and values in them
MAX_FIELDS = 5_000_000  # of all elements
MAX_REPEATED_BYTES = 256 * 1024 * 1024  # each span's row repeats its resource and scope

# kind → field number → kind of the messages there (opentelemetry/proto/trace/v1/trace.proto)
_FIELDS: Mapping[str, Mapping[int, str]] = {
    "request": {1: "resource_spans"},
    "resource_spans": {1: "resource", 2: "scope_spans"},
    "resource": {1: "attribute", 3: "entity"},
    "entity": {},
    "scope_spans": {1: "scope", 2: "span"},
    "scope": {3: "attribute"},
    "span": {9: "attribute", 11: "event", 13: "link", 15: "status"},
    "status": {},
    "event": {3: "attribute"},
    "link": {4: "attribute"},
    "attribute": {2: "value"},
    "value": {5: "array", 6: "map"},
    "array": {1: "value"},
    "map": {1: "attribute"},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def _first_bytes(fields: Iterable[int]) -> bytes:
    """What the tags of fields that hold messages begin with: a tag may be written in more bytes than it needs."""
    tags = {field << 3 | _BYTES for field in fields}
    return bytes(sorted(tags | {tag | 0x80 for tag in tags}))


_ELEMENT_TAGS = _first_bytes(field for fields in _FIELDS.values() for field in fields)
_SPAN_TAGS = _first_bytes(field for fields in _FIELDS.values() for field, kind in fields.items() if kind == "span")


class TooManyElementsError(ValueError):
    """A message holds more spans or elements than are accepted."""


def check_protobuf(body: bytes) -> None:
    """Check an ExportTraceServiceRequest.

    Raises:
        TooManyElementsError: it holds too many spans or elements.
        ValueError: it is not a protobuf message.
    """
    if len(body) <= 2 * MAX_SPANS:  # an element has two bytes at least
        return
    # each element begins with one of these bytes; counting those costs a hundredth of the walk below
    if _count(body, _ELEMENT_TAGS) <= MAX_ELEMENTS and _count(body, _SPAN_TAGS) <= MAX_SPANS:
        return
    spans = elements = fields_read = 0
    pending = [("request", 0, len(body))]
    while pending:
        kind, at, end = pending.pop()
        fields = _FIELDS[kind]
        while at < end:
            fields_read += 1
            if fields_read > MAX_FIELDS:
                raise TooManyElementsError(f"the request holds more than {MAX_FIELDS} fields; send smaller batches")
            tag, at = _varint(body, at, end)
            wire = tag & 7
            if wire == _BYTES:
                length, at = _varint(body, at, end)
                child = fields.get(tag >> 3)
                if child is not None:
                    elements += 1
                    spans += child == "span"
                    _check(spans, elements)
                    pending.append((child, at, at + length))
                at += length
            elif wire == _VARINT:
                _, at = _varint(body, at, end)
            elif wire in (_FIXED64, _FIXED32):
                at += 8 if wire == _FIXED64 else 4
            else:
                raise ValueError(f"a field has the wire type {wire}, which OTLP does not use")
        if at != end:
            raise ValueError("a field is longer than its message")


def check_json(body: bytes) -> None:
    """Check an ExportTraceServiceRequest in JSON by its punctuation; that in strings counts, too.

    Raises:
        TooManyElementsError: it holds too many objects and arrays.
    """
    _check(0, body.count(b"{") + body.count(b"[") + body.count(b",") // 4)


def check_parsed(request: ExportTraceServiceRequest) -> int:
    """Check what becomes of a request, the number of its rows and the size of what they repeat; returns that number.

    Raises:
        TooManyElementsError: it is too much.
    """
    spans = repeated = 0
    for resource_spans in request.resource_spans:
        resource = resource_spans.resource.ByteSize()
        for scope_spans in resource_spans.scope_spans:
            count = len(scope_spans.spans)
            spans += count
            repeated += count * (resource + scope_spans.scope.ByteSize())
    _check(spans, 0)
    if repeated > MAX_REPEATED_BYTES:
        raise TooManyElementsError(
            f"the request's resources and scopes, once for each span, are {repeated} bytes, more than "
            f"{MAX_REPEATED_BYTES}; send smaller batches or shorter resource attributes"
        )
    return spans


def _count(body: bytes, values: bytes) -> int:
    return len(body) - len(body.translate(None, values))


def _check(spans: int, elements: int) -> None:
    if spans > MAX_SPANS:
        raise TooManyElementsError(f"the request holds more than {MAX_SPANS} spans; send smaller batches")
    if elements > MAX_ELEMENTS:
        raise TooManyElementsError(
            f"the request holds more than {MAX_ELEMENTS} attributes, values and other elements; send smaller batches"
        )


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= end or shift > 63:
            raise ValueError("a number does not end")
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
