"""Exporting spans, and counting those that were not delivered."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_coverage.tracing.batching import CountingSpanProcessor
from otel_coverage.tracing.exporter import MESSAGE_BYTES, BoundedSpanExporter, span_size
from otel_coverage.tracing.log import log
from tests.support.collector import Collector


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    yield
    log.clear()


class Pipeline:
    """A provider that exports through ours."""

    def __init__(self, make: Callable[[], SpanExporter], **arguments: Any) -> None:
        self.exporter = BoundedSpanExporter(make, **arguments)
        self.processor = CountingSpanProcessor(self.exporter)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.processor)

    def end_spans(self, count: int, **attributes: Any) -> None:
        tracer = self.provider.get_tracer("t")
        for number in range(count):
            tracer.start_span(f"span {number}", attributes=attributes).end()


@pytest.fixture
def pipelines() -> Iterator[Callable[..., Pipeline]]:
    made: list[Pipeline] = []

    def make(*arguments: Any, **keywords: Any) -> Pipeline:
        made.append(Pipeline(*arguments, **keywords))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.provider.shutdown()


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_a_batch_larger_than_a_receiver_accepts_is_sent_in_several_messages(
    collector: Collector, pipelines: Callable[..., Pipeline]
) -> None:
    pipeline = pipelines(lambda: OTLPSpanExporter(endpoint=collector.endpoint))
    pipeline.end_spans(40, names=["n" * 1000] * 250)
    assert pipeline.processor.flush(30)
    assert len(collector.spans) == 40
    assert len(collector.message_sizes) == 3
    assert max(collector.message_sizes) <= MESSAGE_BYTES


def test_the_standard_exporter_alone_would_have_lost_that_batch(collector: Collector) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=collector.endpoint, timeout=1)
    spans = [provider.get_tracer("t").start_span("s", attributes={"names": ["n" * 1000] * 250}) for _ in range(40)]
    for span in spans:
        span.end()
    assert exporter.export([span._readable_span() for span in spans]) is SpanExportResult.FAILURE  # type: ignore[attr-defined]
    exporter.shutdown()


def test_spans_for_a_collector_that_is_down_are_lost_and_that_is_logged_once(
    pipelines: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = pipelines(lambda: OTLPSpanExporter(endpoint=closed_port(), timeout=1))
    with caplog.at_level(logging.WARNING, "otel_coverage"):
        pipeline.end_spans(3)
        assert not pipeline.processor.flush(30)
        pipeline.end_spans(2)
        assert not pipeline.processor.flush(30)
    assert pipeline.exporter.counts.lost == 5
    assert log.counts["lost_spans"] == 5
    ours = [record.getMessage() for record in caplog.records if record.name == "otel_coverage"]
    assert len(ours) == 1
    assert ours[0].startswith("coverage: 3 spans were not delivered")


def test_an_exporter_that_cannot_be_made_loses_the_spans_and_raises_nothing(
    pipelines: Callable[..., Pipeline],
) -> None:
    def make() -> SpanExporter:
        raise ValueError("compression 'zip'")

    pipeline = pipelines(make)
    pipeline.end_spans(1)
    assert not pipeline.processor.flush(30)
    assert pipeline.exporter.counts.lost == 1


def test_a_flush_that_times_out_returns_false(pipelines: Callable[..., Pipeline]) -> None:
    release = threading.Event()

    class Slow(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            release.wait(60)
            return SpanExportResult.SUCCESS

    pipeline = pipelines(Slow)
    pipeline.end_spans(2)
    assert not pipeline.processor.flush(0.05)
    assert log.counts == {"late_spans": 1}
    release.set()
    assert pipeline.processor.flush(30)


def test_a_flush_counts_the_spans_that_a_full_queue_dropped(
    collector: Collector, pipelines: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    release = threading.Event()
    entered = threading.Event()

    class Slow(OTLPSpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            entered.set()
            release.wait(60)
            return super().export(spans)

    pipeline = pipelines(lambda: Slow(endpoint=collector.endpoint))
    pipeline.end_spans(4)
    entered.wait(60)
    pipeline.end_spans(10)
    release.set()
    assert not pipeline.processor.flush(30)
    assert len(collector.spans) == 8
    assert log.counts["lost_spans"] == 6


FORKS = """
import os, sys
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from otel_coverage.tracing.batching import CountingSpanProcessor
from otel_coverage.tracing.exporter import BoundedSpanExporter
exporter = BoundedSpanExporter(OTLPSpanExporter)
processor = CountingSpanProcessor(exporter)
provider = TracerProvider()
provider.add_span_processor(processor)
tracer = provider.get_tracer("t")
tracer.start_span("before the fork").end()
sent_before = "sent" in sys.argv and processor.flush(30)
child = os.fork()
if child == 0:
    tracer.start_span("of the child").end()
    os._exit(0 if processor.flush(30) and exporter.counts.delivered == 1 else 1)
assert os.waitpid(child, 0)[1] == 0
tracer.start_span("after the fork").end()
assert processor.flush(30)
assert exporter.counts.delivered == 2
"""


@pytest.mark.parametrize("when", ["waiting", "sent"])
def test_a_forked_child_delivers_only_its_own_spans(when: str, collector: Collector) -> None:
    environ = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS, when], check=True, env=environ, timeout=90)
    assert sorted(span.name for span in collector.spans) == ["after the fork", "before the fork", "of the child"]


texts = st.text(max_size=40)
values = st.one_of(texts, st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.lists(texts, max_size=20))
attributes = st.dictionaries(st.text(min_size=1, max_size=40), values, max_size=20)


GREENLETS = """
import sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otel_coverage.tracing.batching import CountingSpanProcessor
from otel_coverage.tracing.exporter import BoundedSpanExporter
memory = InMemorySpanExporter()
processor = CountingSpanProcessor(BoundedSpanExporter(lambda: memory))
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(processor)
from gevent import monkey
monkey.patch_all()
import gevent
tracer = provider.get_tracer("t")
gevent.joinall([gevent.spawn(lambda: tracer.start_span("first").end()) for _ in range(5)])
assert processor.flush(10)
print(len(memory.get_finished_spans()))
"""


def test_first_spans_that_end_in_several_greenlets_at_once_are_all_delivered() -> None:
    done = subprocess.run([sys.executable, "-c", GREENLETS], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "5\n", done.stderr


def test_spans_for_which_no_thread_could_be_started_are_counted_as_lost_and_the_next_tries_again(
    pipelines: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = InMemorySpanExporter()
    pipeline = pipelines(lambda: memory)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _no_more_threads)
        pipeline.end_spans(1)
    assert pipeline.exporter.counts.lost == 1
    pipeline.end_spans(1)
    assert not pipeline.processor.flush(10)  # one of the two is lost
    assert len(memory.get_finished_spans()) == 1


def _no_more_threads(thread: threading.Thread) -> None:
    raise RuntimeError("no thread left")


@settings(deadline=None)
@given(texts, attributes, attributes, attributes)
def test_span_size_is_never_below_the_encoded_size(
    name: str, on_span: dict[str, Any], on_event: dict[str, Any], on_resource: dict[str, Any]
) -> None:
    provider = TracerProvider(shutdown_on_exit=False, resource=Resource(on_resource))
    span: Any = provider.get_tracer("tracer", "1.2.3", "https://schema.example").start_span(name, attributes=on_span)
    span.add_event(name, on_event)
    span.end()
    readable = span._readable_span()
    assert encode_spans([readable]).ByteSize() <= span_size(readable)
