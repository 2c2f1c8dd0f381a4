"""The playback client's own spans: kept, and sent again, until they are acknowledged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_coverage.playback.delivery import Delivered, Delivery
from tests.playback.application import Application
from tests.playback.conftest import Write
from tests.support.collector import Collector, ReceivedSpan, running_collector
from tests.support.commands import wait_until
from tests.support.ports import free_port


class Receiver:
    """Receives spans of any number of exporters, while it does.

    Attributes:
        names: of the spans that were acknowledged.
        is_up: whether it acknowledges.
        made: exporters so far.
    """

    def __init__(self, *, is_up: bool = True, raises: bool = False) -> None:
        self.names: list[str] = []
        self.is_up = is_up
        self.made = 0
        self._raises = raises

    def exporter(self) -> SpanExporter:
        self.made += 1
        return _Exporter(self)

    def receive(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.is_up:
            self.names += [span.name for span in spans]
            return SpanExportResult.SUCCESS
        if self._raises:
            raise ConnectionError("nobody there")
        return SpanExportResult.FAILURE


class _Exporter(SpanExporter):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._receiver.receive(spans)


def end_spans(delivery: Delivery, *names: str) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(delivery)
    for name in names:
        provider.get_tracer("t").start_span(name, Context()).end()
    return provider


@pytest.mark.parametrize("raises", [False, True])
def test_spans_arrive_in_order_once_the_receiver_is_there(raises: bool) -> None:
    receiver = Receiver(is_up=False, raises=raises)
    delivery = Delivery(receiver.exporter)
    end_spans(delivery, "a", "b")
    wait_until(lambda: receiver.made > 1)
    assert not delivery.force_flush(0)
    receiver.is_up = True
    end_spans(delivery, "c")
    assert delivery.force_flush()
    assert receiver.names == ["a", "b", "c"]
    assert delivery.close(60) == Delivered()


def test_what_is_not_acknowledged_in_time_is_left_in_the_spool() -> None:
    receiver, spool = Receiver(is_up=False), Receiver()
    delivery = Delivery(receiver.exporter, spool=spool.exporter)
    end_spans(delivery, "a", "b")
    assert delivery.close(0.05) == Delivered(spooled=2)
    assert spool.names == ["a", "b"]
    assert delivery.close(0) == Delivered()


@pytest.mark.parametrize("spool", [None, Receiver(is_up=False).exporter, Receiver(is_up=False, raises=True).exporter])
def test_where_nothing_keeps_them_they_are_lost(spool: Callable[[], SpanExporter] | None) -> None:
    delivery = Delivery(Receiver(is_up=False).exporter, spool=spool)
    end_spans(delivery, "a")
    assert delivery.close(0.05) == Delivered(lost=1)


def test_no_more_is_kept_in_memory_than_was_agreed() -> None:
    receiver, spool = Receiver(is_up=False), Receiver()
    delivery = Delivery(receiver.exporter, kept_bytes=2000, spool=spool.exporter)
    names = [f"{number:03}" for number in range(100)]
    end_spans(delivery, *names)
    assert 0 < len(spool.names) < 100
    assert delivery.close(0.05) == Delivered(spooled=100)
    assert sorted(spool.names) == names


def test_an_exporter_that_hangs_is_waited_for_no_longer_than_agreed() -> None:
    is_over = threading.Event()

    class Hanging(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            is_over.wait(60)
            return SpanExportResult.SUCCESS

    delivery = Delivery(Hanging)
    end_spans(delivery, "a")
    began = time.monotonic()
    assert delivery.close(0.1) == Delivered(lost=1)
    assert time.monotonic() - began < 20
    is_over.set()


def command(*arguments: str | Path, endpoint: str, **environ: str) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "30", "OTEL_COVERAGE_SPOOL": "off"}
    return subprocess.Popen(
        [sys.executable, "-m", "otel_coverage", "playback", "run", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**env, **environ},
    )


def steps(spans: list[ReceivedSpan], role: str) -> dict[str, int]:
    return {
        span.attributes["playback.profile"]: span.attributes["playback.steps"] for span in spans if span.role == role
    }


def test_what_is_planned_is_told_before_the_first_request_and_what_was_played_at_the_end(
    application: Application, recording: Write, collector: Collector
) -> None:
    short = recording({"method": "GET", "path": "/a"}, profile="short")
    failing = recording(
        {"method": "GET", "path": "/a"},
        {"method": "GET", "path": "/missing"},
        {"method": "GET", "path": "/b"},
        profile="failing",
    )
    seen: list[dict[str, int]] = []
    application.on_request = lambda: seen.append(steps(collector.spans, "plan"))
    with command(short, failing, "--base-url", application.base_url, endpoint=collector.endpoint) as process:
        process.communicate(timeout=60)
    assert seen[0] == {"short": 1, "failing": 3}
    assert steps(collector.spans, "played") == {"short": 1, "failing": 2}
    for span in collector.spans:
        assert span.attributes["playback.run_id"]
        assert (span.parent_id == "") == (span.role != "client")
    assert sum(span.role == "client" for span in collector.spans) == 3


def test_a_client_that_is_killed_has_told_what_it_planned(
    application: Application, recording: Write, collector: Collector
) -> None:
    application.final_status = "started"
    path = recording({"method": "POST", "path": "/enqueue/j"}, {"method": "GET", "path": "/a"})
    with command(path, "--base-url", application.base_url, endpoint=collector.endpoint) as process:
        wait_until(lambda: application.polls)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert steps(collector.spans, "plan") == {"tour": 2}
    assert steps(collector.spans, "played") == {}


def test_spans_of_an_outage_arrive_after_it(application: Application, recording: Write) -> None:
    """The collector is away until the last request was answered."""
    port = free_port()
    path = recording({"method": "GET", "path": "/a"}, {"method": "GET", "path": "/b"})
    away = {"endpoint": f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_TIMEOUT": "2"}
    with command(path, "--base-url", application.base_url, **away) as process:
        wait_until(lambda: len(application.requests) == 2)
        with running_collector(port=port) as collector:
            output, errors = process.communicate(timeout=60)
            assert (process.returncode, errors) == (0, "")
            assert json.loads(output)["outcome"] == "passed"
            arrived = {span.span_id: span.role or "root" for span in collector.spans}  # perhaps more than once
            assert sorted(arrived.values()) == [
                "client",
                "client",
                "plan",
                "played",
                "root",
            ]


def test_spans_that_nobody_acknowledged_lie_in_the_spool_and_are_sent_from_there(
    application: Application, recording: Write
) -> None:
    port = free_port()
    path = recording({"method": "GET", "path": "/a"})
    arguments = (path, "--base-url", application.base_url, "--run-id", "night-1", "--delivery-timeout", "0.5")
    away = {"endpoint": f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_TIMEOUT": "2"}
    with command(*arguments, **away, OTEL_COVERAGE_SPOOL="") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith(
        "otel-coverage: 4 spans of the playback itself were not acknowledged by the collector; they "
    )
    assert "run night-1 is incomplete" in errors
    with running_collector(port=port) as collector:
        spans = collector.wait_for(lambda spans: len({span.span_id for span in spans}) == 4)
    assert {span.role for span in spans} == {"plan", "client", None, "played"}
    assert {span.resource["service.name"] for span in spans} == {"otel-coverage-playback"}
