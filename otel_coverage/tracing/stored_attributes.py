"""Attributes that need no look at each of their strings: they are stored on a span as they are."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Span
from opentelemetry.util.types import AttributeValue


def store(span: Span, values: Mapping[str, AttributeValue]) -> bool:
    """Set these attributes as ``span.set_attributes`` does, where that would neither change nor drop any.

    The SDK looks at each string of an array, 0.2 µs, for its type and its length. Ours are strings, in tuples, so where
    the provider has no limit of their length there is nothing to find.

    Args:
        span: any, also one that is not the SDK's.
        values: of types that a span holds, arrays as tuples.

    Returns:
        Whether they are set. Not where the span has a limit that they might meet, or is of a kind not known here.
    """
    attributes = getattr(span, "_attributes", None)
    if type(attributes) is not BoundedAttributes or Span not in type(span).__mro__:
        return False
    try:
        with span._lock:
            if span._end_time is not None or attributes._immutable or attributes.max_value_len is not None:
                return False
            with attributes._lock:
                stored, most = attributes._dict, attributes.maxlen
                if most is not None and len(stored) + len(values) > most:
                    return False
                for name in values.keys() & stored.keys():
                    del stored[name]  # it is the youngest now
                stored.update(values)
    except AttributeError:  # another version of the SDK
        return False
    return True


def is_unlimited(span: Span) -> bool:
    """Whether the span is known to keep strings of any length as they are."""
    attributes = getattr(span, "_attributes", None)
    return type(attributes) is BoundedAttributes and getattr(attributes, "max_value_len", 0) is None
