"""How large a span is: encoded, and in memory; estimated, since encoding it or walking through it takes too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

# upper bounds, in bytes
_SPAN = 256  # ids, times, kind, status and the fields around them
_FIELD = 24  # tags and lengths around one key or value
_NUMBER = 10

# about what CPython takes, in bytes
_HELD = 2048  # for a span
_HELD_STRING = 56

_resource_sizes: dict[int, tuple[object, int]] = {}  # of the last one, by the id of its attributes


def span_size(span: ReadableSpan) -> int:
    """An upper bound of the span's bytes in an OTLP message, without encoding it.

    Its resource and scope are included, though spans in one message share them.
    """
    scope = span.instrumentation_scope
    status = span.status.description or ""
    return (
        _SPAN
        + len(span.name.encode("utf-8", "replace"))
        + len(status.encode("utf-8", "replace"))
        + _attributes(span.attributes)
        + sum(
            _SPAN + len(event.name.encode("utf-8", "replace")) + _attributes(event.attributes) for event in span.events
        )
        + sum(_SPAN + _trace_state(link.context.trace_state) + _attributes(link.attributes) for link in span.links)
        + (_trace_state(span.context.trace_state) if span.context is not None else 0)
        + _of_resource(span.resource)
        + (0 if scope is None else _SPAN + _value(scope.name) + _value(scope.version) + _attributes(scope.attributes))
    )


def _of_resource(resource: Resource) -> int:
    """Kept, since it is the same for all spans of a process."""
    attributes = resource.attributes or {}
    size = _resource_sizes.get(id(attributes))
    if size is None or size[0] is not attributes:
        size = (attributes, _attributes(attributes))
        _resource_sizes.clear()
        _resource_sizes[id(attributes)] = size
    return size[1]


def held_bytes(span: ReadableSpan) -> int:
    """About the memory that the span takes, found in some microseconds: it is asked whenever a span ends."""
    size = _HELD
    for value in (span.attributes or {}).values():
        if type(value) is str:
            size += len(value)
        elif type(value) is tuple:  # as the SDK keeps arrays
            try:
                size += len(value) * _HELD_STRING + sum(map(len, value))
            except TypeError:  # numbers
                size += len(value) * _HELD_STRING
    return size


def _trace_state(state: Mapping[str, str]) -> int:
    return sum(len(key) + len(value) + 2 for key, value in state.items())


def _attributes(attributes: Mapping[str, object] | None) -> int:
    return sum(_FIELD + len(str(key).encode()) + _value(value) for key, value in (attributes or {}).items())


def _value(value: object) -> int:
    if isinstance(value, str):
        return _FIELD + len(value.encode("utf-8", "replace"))
    if isinstance(value, bytes):
        return _FIELD + len(value)
    if isinstance(value, Mapping):
        return _FIELD + _attributes(value)
    if isinstance(value, Sequence):
        try:
            return _FIELD * (1 + len(value)) + len("".join(value).encode("utf-8", "replace"))
        except TypeError:  # not all of them are strings
            return _FIELD + sum(_value(item) for item in value)
    return _FIELD + _NUMBER
