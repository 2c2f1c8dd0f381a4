"""Exporting spans, and counting those that were not delivered."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, SimpleNamespace
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

from otel_coverage.tracing.export import batching
from otel_coverage.tracing.export.batching import CountingSpanProcessor
from otel_coverage.tracing.export.exporter import MESSAGE_BYTES, BoundedSpanExporter
from otel_coverage.tracing.export.provider import exporter_makers
from otel_coverage.tracing.export.span_size import span_size
from otel_coverage.tracing.log import log
from tests.support.collector import Collector
from tests.support.commands import wait_until
from tests.support.ports import free_port


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    yield
    log.clear()


class Pipeline:
    """A provider that exports through ours."""

    def __init__(
        self,
        make: Callable[[], SpanExporter] | None,
        fallback: SpanExporter | None = None,
        patience: float = 0.2,
        report: Callable[[], None] | None = None,
    ) -> None:
        self.exporter = BoundedSpanExporter(make, fallback)
        self.processor = CountingSpanProcessor(self.exporter, patience=patience, report=report)
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


def test_the_exporter_over_grpc_encodes_spans_as_the_spool_does_so_that_a_name_without_encoding_costs_no_span(
    collector: Collector, pipelines: Callable[..., Pipeline]
) -> None:
    make = exporter_makers({})["otlp_proto_grpc"]
    pipeline = pipelines(lambda: make(endpoint=collector.endpoint))
    pipeline.provider.get_tracer("t").start_span("name \udc80").end()
    pipeline.end_spans(1, names=["a", "b"])
    assert pipeline.processor.flush(30)
    assert [span.name for span in collector.spans] == ["name ?", "span 0"]


@pytest.mark.parametrize(
    ("attributes", "consequence"),
    [({"playback.profile": "checkout"}, "their coverage is missing"), ({}, "none of them is of a playback")],
)
def test_spans_for_a_collector_that_is_down_wait_and_are_lost_when_the_process_ends_and_each_is_logged_once(
    attributes: dict[str, str],
    consequence: str,
    pipelines: Callable[..., Pipeline],
    caplog: pytest.LogCaptureFixture,
) -> None:
    pipeline = pipelines(lambda: OTLPSpanExporter(endpoint=f"http://127.0.0.1:{free_port()}", timeout=1))
    with caplog.at_level(logging.WARNING, "otel_coverage"):
        pipeline.end_spans(3, **attributes)
        assert not pipeline.processor.flush(30)
        pipeline.end_spans(2)
        assert not pipeline.processor.flush(30)
        assert pipeline.exporter.counts.lost == 0
        pipeline.provider.shutdown()
    assert pipeline.exporter.counts.lost == 5
    assert log.counts["lost_spans"] == 5
    ours = [record.getMessage() for record in caplog.records if record.name == "otel_coverage"]
    assert len(ours) == 3
    assert ours[0].startswith("coverage: 3 spans were not delivered")
    assert consequence in ours[0]
    assert ours[1].startswith("coverage: 5 spans are lost, as the process ended")


def test_an_exporter_that_cannot_be_made_raises_nothing_and_is_made_later(pipelines: Callable[..., Pipeline]) -> None:
    memory = InMemorySpanExporter()
    compressions = ["zip", "gzip"]

    def make() -> SpanExporter:
        if compressions.pop(0) != "gzip":
            raise ValueError("compression 'zip'")
        return memory

    pipeline = pipelines(make)
    pipeline.end_spans(1)
    assert not pipeline.processor.flush(30)
    assert pipeline.processor.flush(30)
    assert len(memory.get_finished_spans()) == 1


class Failing(SpanExporter):
    """Fails as long as it is told to, and then keeps what it is given; counts the attempts."""

    def __init__(self) -> None:
        self.fails = True
        self.attempts = 0
        self.names: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.attempts += 1
        if self.fails:
            return SpanExportResult.FAILURE
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS


def test_what_is_not_accepted_goes_to_the_fallback_and_the_receiver_is_left_alone_for_a_while(
    pipelines: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr("otel_coverage.tracing.export.exporter.time", SimpleNamespace(monotonic=lambda: now))
    receiver, spool = Failing(), InMemorySpanExporter()
    pipeline = pipelines(lambda: receiver, spool)
    for _ in range(5):
        pipeline.end_spans(2)
        assert pipeline.processor.flush(30)
    assert receiver.attempts == 1
    assert len(spool.get_finished_spans()) == pipeline.exporter.counts.spooled == 10
    assert pipeline.exporter.counts.lost == 0


def test_a_receiver_that_is_back_gets_what_waited_for_it_in_order(
    pipelines: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    receiver = Failing()
    pipeline = pipelines(lambda: receiver)
    pipeline.end_spans(4)
    assert not pipeline.processor.flush(30)
    receiver.fails = False
    deadline = time.monotonic() + 30
    while not receiver.names and time.monotonic() < deadline:
        time.sleep(0.02)
    assert receiver.names == [f"span {number}" for number in range(4)]
    assert pipeline.processor.flush(30)


class Interrupted(Failing):
    """In the middle of the first attempt comes a signal, whose handler raises."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        if self.attempts == 1:
            signal.raise_signal(signal.SIGUSR1)
        return result


def test_what_was_being_kept_when_a_signal_came_is_kept_and_the_signals_exception_goes_on(
    pipelines: Callable[..., Pipeline],
) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("the time is up")

    spool = Interrupted()
    spool.fails = False
    pipeline = pipelines(None, spool)
    pipeline.processor.export_inline()
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with pytest.raises(TimeoutError, match="the time is up"):
            pipeline.end_spans(1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert pipeline.processor.flush(30)
    assert set(spool.names) == {"span 0"}
    assert (spool.attempts, pipeline.exporter.counts.lost) == (2, 0)


def test_where_neither_takes_them_spans_are_lost_and_reported_once_something_arrives(
    pipelines: Callable[..., Pipeline],
) -> None:
    spool = Failing()
    lost: list[str] = []
    reports: list[int] = []
    pipeline = pipelines(None, spool, report=lambda: reports.append(len(lost)))
    pipeline.exporter.on_lost = lambda spans: lost.extend(span.name for span in spans)
    pipeline.end_spans(3)
    assert not pipeline.processor.flush(30)
    assert (lost, reports) == (["span 0", "span 1", "span 2"], [])
    spool.fails = False
    pipeline.end_spans(1)
    pipeline.processor.flush(30)
    wait_until(lambda: reports == [3])
    pipeline.provider.shutdown()
    assert reports == [3, 3]


def test_a_full_queue_hands_over_to_the_fallback_and_holds_bounded_bytes(
    pipelines: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "QUEUE_BYTES", 100_000)
    hanging, spool = SlowExporter(120), InMemorySpanExporter()
    pipeline = pipelines(lambda: hanging, spool)
    pipeline.end_spans(1)
    flushing = threading.Thread(target=pipeline.processor.force_flush)
    flushing.start()
    assert hanging.has_begun.wait(60)
    pipeline.end_spans(10, names=["n" * 30_000])
    assert len(spool.get_finished_spans()) == 7
    pipeline.provider.shutdown()
    flushing.join()
    assert len(spool.get_finished_spans()) == 10


@pytest.mark.parametrize("has_fallback", [True, False])
def test_the_end_of_a_process_waits_only_so_long_for_a_receiver_that_does_not_answer(
    has_fallback: bool, pipelines: Callable[..., Pipeline]
) -> None:
    slow, spool = SlowExporter(120), InMemorySpanExporter()
    pipeline = pipelines(lambda: slow, spool if has_fallback else None, patience=0.1)
    pipeline.end_spans(3, **{"playback.profile": "checkout"})
    pipeline.provider.shutdown()
    counts = pipeline.exporter.counts
    if has_fallback:
        assert not slow.has_begun.is_set()  # it was never seen to answer, and the process is about to end
        assert (counts.spooled, counts.lost) == (3, 0)
    else:
        assert slow.was_interrupted
        assert counts.settled == 3


def test_spans_that_end_after_the_shutdown_go_to_the_fallback(pipelines: Callable[..., Pipeline]) -> None:
    spool = Failing()
    spool.fails = False
    pipeline = pipelines(None, spool)
    pipeline.processor.shutdown()
    pipeline.processor.on_end(_ended_span(pipeline))
    assert pipeline.exporter.counts.spooled == 1


def _ended_span(pipeline: Pipeline) -> ReadableSpan:
    span: Any = pipeline.provider.get_tracer("t").start_span("late")
    span._end_time = span.start_time
    readable: ReadableSpan = span._readable_span()
    return readable


def test_without_a_thread_a_span_is_exported_with_all_below_it_when_the_entry_ends(
    pipelines: Callable[..., Pipeline],
) -> None:
    spool = InMemorySpanExporter()
    pipeline = pipelines(None, spool)
    pipeline.processor.export_inline()
    tracer = pipeline.provider.get_tracer("t")
    threads = threading.active_count()
    with tracer.start_as_current_span("entry"):
        tracer.start_span("below").end()
        assert spool.get_finished_spans() == ()
    assert [span.name for span in spool.get_finished_spans()] == ["below", "entry"]
    assert threading.active_count() == threads


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


class SlowExporter(InMemorySpanExporter):
    """Exports until it is shut down, or its patience is at an end: seconds."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self._patience = patience
        self._is_shut_down = threading.Event()
        self.has_begun = threading.Event()
        self.was_interrupted = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.has_begun.set()
        self.was_interrupted = self._is_shut_down.wait(self._patience)
        return super().export(spans)

    def shutdown(self) -> None:
        self._is_shut_down.set()


def test_the_end_of_a_process_waits_for_a_receiver_that_answers(pipelines: Callable[..., Pipeline]) -> None:
    slow = SlowExporter(0.5)
    pipeline = pipelines(lambda: slow, patience=30)
    pipeline.end_spans(2)
    pipeline.provider.shutdown()
    assert not slow.was_interrupted
    assert pipeline.exporter.counts.delivered == 2


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
from otel_coverage.tracing.export import batching
from otel_coverage.tracing.export.batching import CountingSpanProcessor
from otel_coverage.tracing.export.exporter import BoundedSpanExporter
exporter = BoundedSpanExporter(OTLPSpanExporter)
processor = CountingSpanProcessor(exporter, patience=1)
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


NO_FORK_SUPPORT = (
    FORKS.partition("child = os.fork()")[0]
    + """
child = os.fork()
if child == 0:
    tracer.start_span("of the child").end()
    is_delivered = processor.flush(30)
    provider.shutdown()
    os._exit(0 if not is_delivered and exporter.counts.lost == 1 else 1)
assert os.waitpid(child, 0)[1] == 0
"""
)


def test_a_forked_child_that_grpc_would_abort_gives_its_spans_up(collector: Collector) -> None:
    environ = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "GRPC_ENABLE_FORK_SUPPORT": "0",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NO_FORK_SUPPORT, "sent"],
        check=False,
        env=environ,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    assert "gRPC would abort" in done.stderr
    assert [span.name for span in collector.spans] == ["before the fork"]


texts = st.text(max_size=40)
values = st.one_of(texts, st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.lists(texts, max_size=20))
attributes = st.dictionaries(st.text(min_size=1, max_size=40), values, max_size=20)


GREENLETS = """
import sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otel_coverage.tracing.export import batching
from otel_coverage.tracing.export.batching import CountingSpanProcessor
from otel_coverage.tracing.export.exporter import BoundedSpanExporter
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
