"""Partial sets: what runs long is written while it runs, so that a process that is killed does not lose all of it."""

from __future__ import annotations

import importlib

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

import otel_coverage
from otel_coverage.settings import Settings
from otel_coverage.tracing import recorder
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.playback import Playback
from tests.support.commands import wait_until
from tests.support.traced import RECORDING, STORE_FRONT, Spans, functions


def test_what_runs_long_is_written_in_parts_that_add_up(spans: Spans, store_front: None) -> None:
    goods = importlib.import_module("store_front.goods")
    otel_coverage.instrument(
        tracer_provider=spans.provider,
        enabled=True,
        source=[STORE_FRONT],
        partial_interval="0.02",
        granularity="function",  # lines of one function may go on two parts
    )
    context = with_playback(Context(), Playback("checkout"), Settings())
    with spans.provider.get_tracer("t").start_as_current_span("long", context, SpanKind.CONSUMER) as span:
        goods.price("apple")
        wait_until(lambda: spans.with_role("part"))
        (part,) = spans.with_role("part")
        assert functions(part) == {"store_front.goods:price"}
        assert part.parent is not None
        assert part.parent.span_id == span.get_span_context().span_id
        goods.names()
        wait_until(lambda: len(spans.with_role("part")) == 2)
        goods.tag("x")
    written = [functions(span) for span in [*spans.with_role("part"), *spans.with_role("consumer")]]
    assert spans.functions() == {"store_front.goods:price", "store_front.goods:names", "store_front.goods:tag"}
    assert sum(map(len, written)) == 3, "each function is written once"


def test_what_ends_soon_is_written_on_its_span_alone(spans: Spans, store_front: None) -> None:
    goods = importlib.import_module("store_front.goods")
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT])
    context = with_playback(Context(), Playback("checkout"), Settings())
    with spans.provider.get_tracer("t").start_as_current_span("short", context, SpanKind.CONSUMER):
        goods.price("apple")
    assert [span.name for span in spans.ended] == ["short"]


def test_no_thread_runs_before_something_is_recorded(spans: Spans) -> None:
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT])
    installed = recorder.install(RECORDING)
    assert installed._flusher is None
