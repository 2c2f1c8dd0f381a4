"""What is missed of an entry: its spans say whether others follow, and how much there is on all of them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, SpanKind

from otel_coverage.tracing import entry as entries
from otel_coverage.tracing import recorder as recorders
from otel_coverage.tracing.context import awaiting_span, with_entry
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.pending import PendingWork
from otel_coverage.tracing.playback import Playback
from otel_coverage.tracing.processor import CoverageSpanProcessor
from otel_coverage.tracing.recorder import Recorder, install
from tests.support.commands import wait_until
from tests.support.traced import RECORDING, Spans, functions

CHECKOUT = Playback("checkout", "run-1")
TOTALS = {"function": "functions", "line": "lines"}


@pytest.fixture
def goods(store_front: None) -> ModuleType:
    return importlib.import_module("store_front.goods")


@pytest.fixture
def recorder(spans: Spans) -> Recorder:
    spans.provider.add_span_processor(CoverageSpanProcessor(RECORDING, tracer_provider=spans.provider))
    return install(RECORDING)


@contextmanager
def entered(recorder: Recorder, spans: Spans) -> Iterator[tuple[Entry, Span]]:
    """A block that is recorded in an entry; neither it nor its span end with the block."""
    entry = recorder.open(CHECKOUT, SpanKind.CONSUMER)
    token = otel_context.attach(with_entry(Context(), entry, RECORDING))
    try:
        with awaiting_span(entry):
            span = spans.provider.get_tracer("t").start_span("work", kind=SpanKind.CONSUMER)
        yield entry, span
    finally:
        otel_context.detach(token)


def value(span: ReadableSpan, name: str) -> object:
    return (span.attributes or {}).get(f"coverage.{name}")


def assert_adds_up(spans: Spans) -> None:
    """The span that says how much there is has the sums of all."""
    (last,) = [span for span in spans.ended if value(span, "total_parts") is not None]
    for count, total in TOTALS.items():
        counts = [value(span, f"{count}_count") for span in spans.ended]
        assert value(last, f"total_{total}") == sum(number for number in counts if isinstance(number, int)) > 0
    assert value(last, "total_parts") == len(spans.with_role("part"))


def test_a_span_that_ends_before_its_entry_is_sent_with_all_of_it(
    recorder: Recorder, spans: Spans, goods: ModuleType
) -> None:
    with entered(recorder, spans) as (entry, span):
        goods.names()
        span.end()
        goods.tag("x")
    assert spans.ended == []
    recorder.close(entry)
    (ended,) = spans.ended
    assert functions(ended) == {"store_front.goods:names", "store_front.goods:tag"}
    assert (value(ended, "open"), value(ended, "total_parts"), value(ended, "complete")) == (None, None, True)


@pytest.mark.since(3, 12)
def test_a_span_whose_entry_waits_for_other_threads_is_open_until_a_closing_part_comes(
    recorder: Recorder, spans: Spans, goods: ModuleType
) -> None:
    work = PendingWork(goods.tag)
    with entered(recorder, spans) as (entry, span):
        goods.names()
        recorder.add_pending(entry, work)
        span.end()
        recorder.close(entry)
        assert [value(span, "open") for span in spans.ended] == [True]
        goods.tag("x")
    recorder.pending_done(entry, work)
    assert functions(spans.only("part")) == {"store_front.goods:tag"}
    assert value(spans.only("part"), "closing") is True
    assert_adds_up(spans)


def test_a_closing_part_comes_though_nothing_is_left_to_write(
    recorder: Recorder, spans: Spans, goods: ModuleType
) -> None:
    work = PendingWork(goods.tag)
    with entered(recorder, spans) as (entry, span):
        goods.names()
        recorder.add_pending(entry, work)
        span.end()
    recorder.close(entry)
    recorder.pending_done(entry, work)
    assert (value(spans.only("part"), "closing"), value(spans.only("part"), "function_count")) == (True, 0)
    assert_adds_up(spans)


def test_a_span_that_ends_after_its_entry_is_closed(recorder: Recorder, spans: Spans, goods: ModuleType) -> None:
    with entered(recorder, spans) as (entry, span):
        goods.names()
        recorder.close(entry)
        span.end()
    assert value(spans.only("consumer"), "open") is None
    assert_adds_up(spans)


def test_what_is_found_missing_after_the_end_is_counted_in_new_totals(
    recorder: Recorder, spans: Spans, goods: ModuleType
) -> None:
    with entered(recorder, spans) as (entry, span):
        goods.names()
        span.end()
    recorder.close(entry)
    entry.mark_incomplete("fork", "it forked")
    assert (value(spans.only("part"), "closing"), value(spans.only("part"), "complete")) == (True, False)
    assert_adds_up(spans)


def test_a_set_that_one_span_cannot_hold_says_how_many_parts_it_has(spans: Spans, goods: ModuleType) -> None:
    spans.provider.add_span_processor(
        CoverageSpanProcessor(RECORDING, tracer_provider=spans.provider, span_bytes=80),
    )
    with entered(install(RECORDING), spans) as (entry, span):
        list(goods.one_by_one())
        span.end()
    install(RECORDING).close(entry)
    assert len(spans.with_role("part")) > 1
    assert value(spans.only("consumer"), "total_parts") == len(spans.with_role("part"))
    assert_adds_up(spans)


def test_totals_count_what_could_not_be_written(
    recorder: Recorder, spans: Spans, goods: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("ours")

    with entered(recorder, spans) as (entry, span):
        goods.names()
        with monkeypatch.context() as patched:
            patched.setattr(entry.writer, "_write_part", fails)
            recorder.flush_partial()
        goods.tag("x")
        span.end()
    recorder.close(entry)
    (ended,) = spans.ended
    assert functions(ended) == {"store_front.goods:tag"}
    assert value(ended, "function_count") == 1
    assert value(ended, "total_functions") == 2


def test_a_span_is_not_held_for_longer_than_a_while(
    recorder: Recorder, spans: Spans, goods: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "HOLD_SECONDS", 0.01)
    monkeypatch.setattr(recorders, "DRAIN_SECONDS", 0.05)
    with entered(recorder, spans) as (entry, span):
        goods.names()
        span.end(7)
        wait_until(lambda: spans.ended)
        goods.tag("x")
    assert (value(spans.only("consumer"), "open"), spans.only("consumer").end_time) == (True, 7)
    recorder.close(entry)
    assert_adds_up(spans)


def test_at_the_end_of_the_process_a_held_span_is_sent_and_what_runs_is_written_in_part(
    recorder: Recorder, spans: Spans, goods: ModuleType
) -> None:
    with entered(recorder, spans) as (_, span):
        goods.names()
        span.end()
    with entered(recorder, spans):
        goods.tag("x")
        recorder.end_process()
    assert functions(spans.only("consumer")) == {"store_front.goods:names"}
    assert value(spans.only("consumer"), "open") is None
    assert functions(spans.only("part")) == {"store_front.goods:tag"}
    assert value(spans.only("part"), "partial") is True


def test_names_that_the_provider_would_cut_are_left_out_of_partial_sets_too(
    spans: Spans, goods: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "24")
    provider, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(CoverageSpanProcessor(RECORDING, tracer_provider=provider))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    entry = install(RECORDING).open(CHECKOUT, SpanKind.CONSUMER)
    token = otel_context.attach(with_entry(Context(), entry, RECORDING))
    with awaiting_span(entry):
        provider.get_tracer("t").start_span("work", kind=SpanKind.CONSUMER)
    list(goods.one_by_one())
    install(RECORDING).flush_partial()
    otel_context.detach(token)
    (part,) = exporter.get_finished_spans()
    assert functions(part) == {"store_front.goods:tag"}
    assert value(part, "incomplete_reason") == "value_length_limit"
