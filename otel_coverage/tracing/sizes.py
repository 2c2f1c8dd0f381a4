"""How large a span gets on the wire: an upper bound, without encoding it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.sdk.trace import ReadableSpan

_SPAN = 256  # ids, times, kind, status and the fields around them
_FIELD = 24  # tags and lengths around one key or value
_NUMBER = 10


def span_size(span: ReadableSpan) -> int:
    """At most so many bytes, its resource and scope included, though spans in one message share them."""
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
        + _attributes(span.resource.attributes)
        + (0 if scope is None else _SPAN + _value(scope.name) + _value(scope.version) + _attributes(scope.attributes))
    )


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
        return _FIELD + sum(_value(item) for item in value)
    return _FIELD + _NUMBER
