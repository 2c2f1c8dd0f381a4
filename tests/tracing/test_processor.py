"""What the span processor writes, on providers of all kinds."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

import otel_coverage
from otel_coverage.settings import Settings
from otel_coverage.tracing.context import RECORDING, with_playback
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import Playback
from otel_coverage.tracing.processor import CoverageSpanProcessor
from otel_coverage.tracing.writer import CoverageWriter
from tests.support.traced import RECORDING as SETTINGS
from tests.support.traced import Spans, functions

CHECKOUT = Playback("checkout", "run-1")


@pytest.fixture
def goods(store_front: None) -> ModuleType:
    return importlib.import_module("store_front.goods")


@pytest.fixture
def traced() -> Iterator[Context]:
    """The context of a request from another process: a playback and a remote parent."""
    remote = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    context = trace.set_span_in_context(NonRecordingSpan(remote), with_playback(Context(), CHECKOUT, Settings()))
    token = otel_context.attach(context)
    yield context
    assert otel_context.get_current() is context, "something stayed attached"
    otel_context.detach(token)


class Chatty(SpanProcessor):
    """Sets many attributes at the start, as some processors do."""

    def __init__(self, count: int = 500) -> None:
        self._count = count

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for number in range(self._count):
            span.set_attribute(f"chatty.{number}", number)


def provider_with(*processors: SpanProcessor, **arguments: Any) -> tuple[TracerProvider, InMemorySpanExporter]:
    provider = TracerProvider(shutdown_on_exit=False, **arguments)
    exporter = InMemorySpanExporter()
    for processor in processors:
        provider.add_span_processor(processor)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def test_an_entry_span_holds_what_ran_until_it_ended(spans: Spans, goods: ModuleType, traced: Context) -> None:
    spans.provider.add_span_processor(CoverageSpanProcessor(SETTINGS, tracer_provider=spans.provider))
    goods.names()
    with spans.provider.get_tracer("t").start_as_current_span("work", kind=SpanKind.SERVER):
        goods.price("apple")
    goods.tag("x")
    (span,) = spans.ended
    assert functions(span) == {"store_front.goods:price"}
    attributes = dict(span.attributes or {})
    assert re.fullmatch("[0-9a-f]{16}", str(attributes.pop("coverage.process")))
    assert isinstance(attributes.pop("coverage.number"), int)
    assert attributes == {
        "coverage.functions": ("store_front.goods:price@8",),
        "coverage.lines": ("store_front/goods.py:9-10",),
        "coverage.function_count": 1,
        "coverage.line_count": 2,
        "coverage.granularity": "line",
        "coverage.engine": "monitoring" if sys.version_info >= (3, 12) else "coverage",
        "coverage.role": "server",
        "coverage.entry_kind": "request",
        "coverage.entry_name": "work",
        "coverage.complete": True,
        "playback.profile": "checkout",
        "playback.run_id": "run-1",
    }


def test_with_branch_true_in_the_coverage_configuration_there_are_arcs(
    spans: Spans, goods: ModuleType, traced: Context, tmp_path: Path
) -> None:
    rcfile = tmp_path / "coverage.ini"
    rcfile.write_text("[run]\nbranch = true\n")
    settings = Settings(enabled=True, source=SETTINGS.source, engine="coverage", rcfile=str(rcfile))
    spans.provider.add_span_processor(CoverageSpanProcessor(settings, tracer_provider=spans.provider))
    with spans.provider.get_tracer("t").start_as_current_span("work", kind=SpanKind.SERVER):
        goods.price("apple")
    attributes = spans.only("server").attributes or {}
    assert attributes["coverage.arcs"] == ("store_front/goods.py:-8/9/10/-8",)
    assert attributes["coverage.arc_count"] == 3
    assert attributes["coverage.line_count"] == 2


def test_at_function_granularity_there_are_no_arcs_whatever_the_configuration_says(
    spans: Spans, goods: ModuleType, traced: Context, tmp_path: Path
) -> None:
    rcfile = tmp_path / "coverage.ini"
    rcfile.write_text("[run]\nbranch = true\n")
    settings = Settings(
        enabled=True, source=SETTINGS.source, granularity="function", engine="coverage", rcfile=str(rcfile)
    )
    spans.provider.add_span_processor(CoverageSpanProcessor(settings, tracer_provider=spans.provider))
    with spans.provider.get_tracer("t").start_as_current_span("work", kind=SpanKind.SERVER):
        goods.price("apple")
    attributes = spans.only("server").attributes or {}
    assert attributes["coverage.function_count"] == 1
    assert not attributes.keys() & {"coverage.arcs", "coverage.arc_count"}


def test_at_function_granularity_there_are_no_lines(spans: Spans, goods: ModuleType, traced: Context) -> None:
    settings = Settings(enabled=True, source=SETTINGS.source, granularity="function")
    spans.provider.add_span_processor(CoverageSpanProcessor(settings, tracer_provider=spans.provider))
    with spans.provider.get_tracer("t").start_as_current_span("work"):
        goods.names()
    attributes = spans.only("process").attributes or {}
    assert attributes["coverage.functions"] == ("store_front.goods:names@4",)
    assert attributes["coverage.granularity"] == "function"
    assert "coverage.lines" not in attributes
    assert "coverage.line_count" not in attributes


@pytest.mark.parametrize("before", [True, False])
def test_its_place_among_other_processors_makes_no_difference(
    before: bool, spans: Spans, goods: ModuleType, traced: Context
) -> None:
    ours = CoverageSpanProcessor(SETTINGS)
    provider, exporter = provider_with(*([ours, Chatty()] if before else [Chatty(), ours]))
    with provider.get_tracer("t").start_as_current_span("work", kind=SpanKind.CONSUMER) as span:
        goods.names()
        for number in range(500):
            span.set_attribute(f"late.{number}", number)
    (ended,) = exporter.get_finished_spans()
    assert functions(ended) == {"store_front.goods:names"}
    assert (ended.attributes or {})["playback.profile"] == "checkout"
    assert (ended.attributes or {})["coverage.complete"] is True
    assert len(ended.attributes or {}) == 128


def test_an_exporter_that_stands_before_it_sees_the_coverage_too(
    spans: Spans, goods: ModuleType, traced: Context
) -> None:
    spans.provider.add_span_processor(CoverageSpanProcessor(SETTINGS))  # the fixture's exporter was added before
    with spans.provider.get_tracer("t").start_as_current_span("work"):
        goods.names()
    assert functions(spans.only("process")) == {"store_front.goods:names"}


def test_two_of_them_on_one_provider_write_once(spans: Spans, goods: ModuleType, traced: Context) -> None:
    for _ in range(2):
        spans.provider.add_span_processor(CoverageSpanProcessor(SETTINGS, tracer_provider=spans.provider))
    with spans.provider.get_tracer("t").start_as_current_span("work"):
        goods.names()
    assert functions(spans.only("process")) == {"store_front.goods:names"}


def test_every_span_of_a_traced_context_has_the_playback_and_those_that_expect_others_a_role(
    spans: Spans, traced: Context
) -> None:
    spans.provider.add_span_processor(CoverageSpanProcessor(SETTINGS))
    tracer = spans.provider.get_tracer("t")
    with tracer.start_as_current_span("entry", kind=SpanKind.SERVER):
        with tracer.start_as_current_span("inner") as inner:
            for number in range(500):
                inner.set_attribute(f"late.{number}", number)
        tracer.start_span("call", kind=SpanKind.CLIENT).end()
        tracer.start_span("send", kind=SpanKind.PRODUCER).end()
    for span in spans.ended:
        assert (span.attributes or {})["playback.profile"] == "checkout", span.name
        assert (span.attributes or {})["playback.run_id"] == "run-1", span.name
    roles = {span.name: (span.attributes or {}).get("coverage.role") for span in spans.ended}
    assert roles == {"inner": None, "call": None, "send": "producer", "entry": "server"}


def test_code_runs_under_the_innermost_entry(spans: Spans, goods: ModuleType, traced: Context) -> None:
    spans.provider.add_span_processor(CoverageSpanProcessor(SETTINGS))
    tracer = spans.provider.get_tracer("t")
    with tracer.start_as_current_span("outer", kind=SpanKind.SERVER):
        goods.names()
        token = otel_context.attach(traced)  # another message, handled meanwhile
        with tracer.start_as_current_span("inner", kind=SpanKind.CONSUMER):
            goods.tag("x")
        otel_context.detach(token)
        goods.put_back()
    assert functions(spans.only("consumer")) == {"store_front.goods:tag"}
    assert functions(spans.only("server")) == {"store_front.goods:names", "store_front.goods:put_back"}


def test_an_untraced_context_gets_nothing_and_hooks_nothing(spans: Spans, goods: ModuleType) -> None:
    processor = CoverageSpanProcessor(SETTINGS)
    spans.provider.add_span_processor(processor)
    with spans.provider.get_tracer("t").start_as_current_span("work", kind=SpanKind.SERVER):
        goods.names()
        assert otel_context.get_value(RECORDING) is None
    (span,) = spans.ended
    assert dict(span.attributes or {}) == {}


def test_where_recording_is_off_a_traced_context_gets_nothing(spans: Spans, traced: Context) -> None:
    spans.provider.add_span_processor(CoverageSpanProcessor(Settings()))
    spans.provider.get_tracer("t").start_span("work", kind=SpanKind.SERVER).end()
    assert dict(spans.ended[0].attributes or {}) == {}


@pytest.mark.since(3, 12)
def test_no_tool_is_registered_before_the_first_traced_span() -> None:
    code = """
import sys
from opentelemetry import baggage, context
from opentelemetry.sdk.trace import TracerProvider
from otel_coverage import CoverageSpanProcessor, Settings
tools = lambda: [sys.monitoring.get_tool(number) for number in range(6)]
provider = TracerProvider()
provider.add_span_processor(CoverageSpanProcessor(Settings(enabled=True)))
tracer = provider.get_tracer("t")
with tracer.start_as_current_span("untraced"): pass
assert not any(tools()), tools()
context.attach(baggage.set_baggage("playback.profile", "checkout"))
with tracer.start_as_current_span("traced"):
    assert any(tools())
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_one_span_cannot_hold_goes_on_parts(spans: Spans, goods: ModuleType, traced: Context) -> None:
    spans.provider.add_span_processor(CoverageSpanProcessor(SETTINGS, tracer_provider=spans.provider, span_bytes=80))
    with spans.provider.get_tracer("t").start_as_current_span("work") as entry:
        list(goods.one_by_one())
    parts = spans.with_role("part")
    assert parts
    assert {span.name for span in parts} == {"coverage.part"}
    assert {span.parent.span_id for span in parts if span.parent} == {entry.get_span_context().span_id}
    assert {(span.attributes or {})["playback.profile"] for span in parts} == {"checkout"}
    assert spans.functions() == {"store_front.goods:one_by_one", "store_front.goods:names", "store_front.goods:tag"}
    counts = [(span.attributes or {})["coverage.function_count"] for span in spans.ended]
    assert counts == [len(functions(span)) for span in spans.ended]


def test_names_that_the_provider_would_cut_are_left_out_and_make_it_incomplete(
    spans: Spans, goods: ModuleType, traced: Context
) -> None:
    provider, exporter = provider_with(
        CoverageSpanProcessor(SETTINGS), span_limits=SpanLimits(max_span_attribute_length=24)
    )
    with provider.get_tracer("t").start_as_current_span("work"):
        list(goods.one_by_one())
    (span,) = exporter.get_finished_spans()
    attributes = span.attributes or {}
    assert functions(span) == {"store_front.goods:tag"}
    assert attributes["coverage.complete"] is False
    assert attributes["coverage.incomplete_detail"] == "3 names are longer than the provider"[:24]
    assert attributes["playback.profile"] == "checkout"


@pytest.mark.parametrize("limit", [4, 6, 9, 11])
def test_where_a_span_may_have_fewer_attributes_than_are_written_what_is_left_says_so(
    limit: int, spans: Spans, goods: ModuleType, traced: Context
) -> None:
    provider, exporter = provider_with(CoverageSpanProcessor(SETTINGS), span_limits=SpanLimits(max_attributes=limit))
    with provider.get_tracer("t").start_as_current_span("work", attributes={"own": 1}):
        goods.names()
    (span,) = exporter.get_finished_spans()
    attributes = span.attributes or {}
    assert attributes["playback.profile"] == "checkout"
    if "coverage.functions" not in attributes or "coverage.function_count" not in attributes:
        assert attributes["coverage.complete"] is False
        assert attributes["coverage.incomplete_reason"] == "attribute_count_limit"
    else:
        assert attributes["coverage.complete"] is True


def test_a_profile_that_the_provider_would_cut_is_left_out_as_it_would_be_another_name(
    spans: Spans, traced: Context
) -> None:
    provider, exporter = provider_with(
        CoverageSpanProcessor(SETTINGS), span_limits=SpanLimits(max_span_attribute_length=5)
    )
    provider.get_tracer("t").start_span("work").end()
    (span,) = exporter.get_finished_spans()
    assert (span.attributes or {})["playback.profile"] == ""
    assert log.counts["cut_profiles"] == 1


def test_a_span_that_somebody_else_wraps_as_well_still_ends_once(
    spans: Spans, goods: ModuleType, traced: Context
) -> None:
    spans.provider.add_span_processor(CoverageSpanProcessor(SETTINGS))
    span: Any = spans.provider.get_tracer("t").start_span("work")
    ours, calls = span.end, []

    def end(end_time: int | None = None) -> None:
        calls.append(end_time)
        ours(end_time)

    span.end = end
    goods.names()
    span.end()
    span.end()
    assert calls == [None, None]
    assert functions(spans.only("process")) == {"store_front.goods:names"}


def test_the_time_that_writing_takes_is_not_the_spans(spans: Spans, traced: Context) -> None:
    spans.provider.add_span_processor(CoverageSpanProcessor(SETTINGS))
    span = spans.provider.get_tracer("t").start_span("work", start_time=1)
    span.end(2)
    assert (spans.ended[0].start_time, spans.ended[0].end_time) == (1, 2)


def test_spans_that_end_out_of_order_leave_nothing_attached(spans: Spans, goods: ModuleType, traced: Context) -> None:
    spans.provider.add_span_processor(CoverageSpanProcessor(SETTINGS))
    tracer = spans.provider.get_tracer("t")
    outer = tracer.start_span("first", kind=SpanKind.CONSUMER)
    inner = otel_context.attach(trace.set_span_in_context(outer))
    goods.names()
    otel_context.detach(inner)
    outer.end()
    goods.tag("after")
    assert functions(spans.only("consumer")) == {"store_front.goods:names"}


def test_with_processors_in_threads_of_their_own_nothing_is_recorded_and_the_span_says_why(
    spans: Spans, goods: ModuleType, traced: Context
) -> None:
    provider, exporter = provider_with(
        CoverageSpanProcessor(SETTINGS), active_span_processor=ConcurrentMultiSpanProcessor(2)
    )
    with provider.get_tracer("t").start_as_current_span("work", context=traced):
        goods.names()
    (span,) = exporter.get_finished_spans()
    assert (span.attributes or {})["coverage.complete"] is False
    assert "instrument the app" in str((span.attributes or {})["coverage.incomplete_detail"])


def test_a_failure_to_write_is_counted_and_the_span_ends(
    spans: Spans, traced: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans.provider.add_span_processor(CoverageSpanProcessor(SETTINGS))
    span = spans.provider.get_tracer("t").start_span("work")

    def fails(*_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(CoverageWriter, "write_entry_span", fails)
    span.end()
    assert [ended.name for ended in spans.ended] == ["work"]
    assert log.counts["failures"] == 1


def test_a_recording_that_cannot_be_opened_makes_the_span_incomplete(spans: Spans, traced: Context) -> None:
    settings = Settings(enabled=True, source=("no_such_package",))
    spans.provider.add_span_processor(CoverageSpanProcessor(settings))
    with spans.provider.get_tracer("t").start_as_current_span("work"):
        pass
    attributes = spans.only("process").attributes or {}
    assert attributes["coverage.complete"] is False
    assert "no_such_package" in str(attributes["coverage.incomplete_detail"])
    assert attributes["coverage.function_count"] == 0


def test_one_process_does_not_record_with_two_settings(spans: Spans) -> None:
    CoverageSpanProcessor(SETTINGS)
    with pytest.raises(otel_coverage.errors.ConfigurationError, match="instrument it once"):
        CoverageSpanProcessor(Settings(enabled=True, source=("elsewhere",)))
