"""Attributes that are stored on a span as they are."""

from __future__ import annotations

from typing import cast

import pytest
from opentelemetry.sdk.trace import Span, SpanLimits, TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.util.types import AttributeValue

from otel_coverage.tracing.stored_attributes import store

VALUES: dict[str, AttributeValue] = {"names": ("a", "b"), "count": 2, "whole": True, "old": "new"}


def started(**limits: int) -> Span:
    provider = TracerProvider(span_limits=SpanLimits(**limits))
    return cast("Span", provider.get_tracer("t").start_span("s", attributes={"old": 1, "other": 1}))


def test_they_are_the_span_s_youngest_as_if_the_span_had_set_them() -> None:
    one, other = started(), started()
    assert store(one, VALUES)
    other.set_attributes(VALUES)
    assert list((one.attributes or {}).items()) == list((other.attributes or {}).items())
    assert one.dropped_attributes == other.dropped_attributes == 0


@pytest.mark.parametrize("limits", [{"max_span_attribute_length": 10}, {"max_span_attributes": 5}])
def test_a_span_with_a_limit_that_they_might_meet_sets_them_itself(limits: dict[str, int]) -> None:
    span = started(**limits)
    assert not store(span, VALUES)
    assert dict(span.attributes or {}) == {"old": 1, "other": 1}


def test_a_span_that_has_ended_is_left_as_it_was() -> None:
    span = started()
    span.end()
    assert not store(span, VALUES)
    assert dict(span.attributes or {}) == {"old": 1, "other": 1}


def test_a_span_of_another_kind_sets_them_itself() -> None:
    span = NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(0)))
    assert not store(cast("Span", span), VALUES)
