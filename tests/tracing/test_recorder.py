"""Entries from their opening to what is found out after their end."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from otel_coverage.recording import Incomplete, Recording
from otel_coverage.tracing.context import awaiting_span, entry_of, with_entry
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import Playback
from otel_coverage.tracing.processor import CoverageSpanProcessor
from otel_coverage.tracing.recorder import Recorder, install
from tests.support.traced import RECORDING, Spans

CHECKOUT = Playback("checkout", "run-1")


@pytest.fixture
def recorder(spans: Spans) -> Recorder:
    spans.provider.add_span_processor(CoverageSpanProcessor(RECORDING, tracer_provider=spans.provider))
    return install(RECORDING)


def run(recorder: Recorder, spans: Spans) -> Entry:
    """An entry that has ended, as its entry span has."""
    entry = recorder.open(CHECKOUT, SpanKind.CONSUMER)
    token = otel_context.attach(with_entry(Context(), entry, RECORDING))
    with awaiting_span(entry):
        spans.provider.get_tracer("t").start_span("work", kind=SpanKind.CONSUMER).end()
    otel_context.detach(token)
    recorder.close(entry)
    return entry


def test_what_is_found_missing_after_the_end_is_written_on_a_part_at_once(recorder: Recorder, spans: Spans) -> None:
    entry = run(recorder, spans)
    assert (spans.only("consumer").attributes or {})["coverage.complete"] is True
    entry.mark_incomplete("fork", "it forked")
    attributes = spans.only("part").attributes or {}
    assert attributes["coverage.complete"] is False
    assert attributes["coverage.incomplete_reason"] == "fork"
    assert attributes["coverage.incomplete_detail"] == "it forked"


def test_the_first_reason_for_incompleteness_stays(recorder: Recorder, spans: Spans) -> None:
    entry = run(recorder, spans)
    entry.mark_incomplete("fork", "it forked")
    entry.mark_incomplete("thread_late", "a thread came later")
    assert (spans.only("part").attributes or {})["coverage.incomplete_reason"] == "fork"


def test_a_span_of_another_kind_is_not_the_entry_span(recorder: Recorder, spans: Spans) -> None:
    entry = recorder.open(CHECKOUT, SpanKind.SERVER)
    tracer = spans.provider.get_tracer("t")
    with awaiting_span(entry):
        tracer.start_span("before", with_entry(Context(), entry, RECORDING)).end()
        assert entry.span_context is None
        tracer.start_span("request", Context(), SpanKind.SERVER).end()
    recorder.close(entry)
    assert spans.only("server").context == entry.span_context
    assert {span.name: (span.attributes or {}).get("coverage.role") for span in spans.ended} == {
        "before": None,
        "request": "server",
    }


def test_a_second_span_of_the_entrys_kind_is_a_plain_one(recorder: Recorder, spans: Spans) -> None:
    entry = recorder.open(CHECKOUT, SpanKind.SERVER)
    tracer = spans.provider.get_tracer("t")
    with awaiting_span(entry):
        for name in ("first", "second"):
            tracer.start_span(name, with_entry(Context(), entry, RECORDING), SpanKind.SERVER).end()
    recorder.close(entry)
    assert spans.only("server").name == "first"


def test_a_thread_is_followed_by_the_engine_that_records_the_entry(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[Recording | None] = []

    @contextmanager
    def follow(recording: Recording) -> Iterator[None]:
        followed.append(recording)
        yield

    entry = recorder.open(CHECKOUT, SpanKind.CONSUMER)
    monkeypatch.setattr(recorder._engine, "follow", follow, raising=False)
    unrecorded = recorder.open(CHECKOUT, SpanKind.CONSUMER, Incomplete("engine_failed", "none"))
    with recorder.follow(entry), recorder.follow(unrecorded):
        pass
    assert followed == [entry.recording]


def test_marking_an_entry_never_raises_into_the_application(
    recorder: Recorder, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise ZeroDivisionError("ours")

    entry = run(recorder, spans)
    monkeypatch.setattr(entry.writer, "write_parts", fails)
    entry.mark_incomplete("fork", "it forked")
    assert log.counts["failures"] == 1


def test_a_recorder_that_was_shut_down_is_kept_by_nothing() -> None:
    recorder = Recorder(RECORDING)
    recorder.close(recorder.open(CHECKOUT, SpanKind.SERVER))
    recorder.shutdown()
    reference = weakref.ref(recorder)
    del recorder
    gc.collect()
    assert reference() is None


def test_in_a_forked_child_the_entries_of_its_parent_are_closed(recorder: Recorder) -> None:
    """Else a request that the child serves in their context would be taken for a part of them, and not be recorded."""
    entry = recorder.open(CHECKOUT, SpanKind.SERVER)
    context = with_entry(Context(), entry, RECORDING)
    child = os.fork()
    if child == 0:
        is_closed = not entry.is_open and entry_of(context) is None and not recorder.is_recording
        os._exit(0 if is_closed else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert entry_of(context) is entry
    recorder.close(entry)
