"""The collector over real gRPC, with OpenTelemetry's own exporter as its client."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otel_coverage.collecting import Collector, Endpoint
from otel_coverage.collecting.log.segment import SegmentWriter
from otel_coverage.collecting.otlp_grpc import MAX_REQUESTS, MAX_STREAMS
from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Store

PATIENCE = 60.0


@contextmanager
def collecting(store: Store) -> Iterator[Collector]:
    with Collector(Endpoint("127.0.0.1", 0)) as collector:
        collector.start(store)
        yield collector


@contextmanager
def stub_of(collector: Collector) -> Iterator[TraceServiceStub]:
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(str(collector.endpoints["OTLP/gRPC"]), options=unlimited) as channel:
        yield TraceServiceStub(channel)  # type: ignore[no-untyped-call]


def request(*names: str, **attributes: str) -> ExportTraceServiceRequest:
    pairs = [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()]
    spans = [Span(name=name, span_id=name.encode(), attributes=pairs) for name in names]
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])


def names(store: Store) -> list[str]:
    return [name for (name,) in store.query("SELECT SpanName FROM otel_traces ORDER BY SpanName").rows]


def test_what_opentelemetrys_exporter_sends_is_in_the_views(store: Store) -> None:
    resource = Resource.create({"service.name": "web", "vcs.ref.head.revision": "abc"})
    with collecting(store) as collector:
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"http://{collector.endpoints['OTLP/gRPC']}", insecure=True)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("test").start_as_current_span("GET /") as span:
            span.set_attributes(
                {
                    "playback.profile": "checkout",
                    "coverage.role": "server",
                    "coverage.functions": ["shop:f@1", "shop:price.<locals>.rounded@7"],
                    "coverage.function_count": 2,
                    "coverage.lines": ["shop.py:1-3,7"],
                    "coverage.line_count": 4,
                    "coverage.complete": True,
                }
            )
        provider.shutdown()
    trace = format(span.get_span_context().trace_id, "032x")
    found = store.query("SELECT revision, profile, symbol, exemplar_trace_id FROM coverage_matrix ORDER BY line").rows
    assert found == [
        ("abc", "checkout", "shop:f@1", trace),
        ("abc", "checkout", "shop:price.<locals>.rounded@7", trace),
    ]
    assert store.query("SELECT service, complete, incomplete_reason FROM coverage_spans").rows == [("web", True, "")]


def test_what_was_acknowledged_gets_into_the_store(store: Store) -> None:
    with collecting(store) as collector, stub_of(collector) as stub:
        for number in range(5):
            stub.Export(request(f"s{number}"), timeout=PATIENCE)
            assert collector.receiver.wait(PATIENCE) == 0
            assert names(store) == [f"s{earlier}" for earlier in range(number + 1)]


def test_an_export_without_spans_is_acknowledged(store: Store) -> None:
    with collecting(store) as collector, stub_of(collector) as stub:
        stub.Export(ExportTraceServiceRequest(), timeout=PATIENCE)
    assert names(store) == []


def test_while_the_store_fails_exports_are_acknowledged_and_wait_in_the_log(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with collecting(store) as collector, stub_of(collector) as stub:
        store.command("RENAME TABLE otel_traces TO gone")
        stub.Export(request("s1"), timeout=PATIENCE)
        collector.receiver.drain()
        assert "otel_traces" in collector.receiver.error
        assert collector.receiver.behind == 1
        store.command("RENAME TABLE gone TO otel_traces")
        assert collector.receiver.wait(PATIENCE) == 0
        assert (collector.receiver.counts.inserted, collector.receiver.error) == (1, "")
    assert names(store) == ["s1"]
    assert [record.message.partition(": ")[2][:30] for record in caplog.records] == [
        "spans stay in the log, and are",
        "spans are inserted again",
    ]


def test_a_failing_materialized_view_of_the_user_does_not_keep_spans_out_of_ours(store: Store) -> None:
    store.command("CREATE TABLE theirs (name String) ENGINE = MergeTree ORDER BY name")
    store.command(
        "CREATE MATERIALIZED VIEW theirs_mv TO theirs AS SELECT throwIf(1, 'no') || '' AS name FROM otel_traces"
    )
    with collecting(store) as collector, stub_of(collector) as stub:
        stub.Export(request("s1", **{"playback.profile": "checkout"}), timeout=PATIENCE)
        assert collector.receiver.wait(PATIENCE) == 0
    assert names(store) == ["s1"]
    assert store.query("SELECT profile FROM coverage_spans FINAL").rows == [("checkout",)]


def test_messages_far_over_grpcs_default_limit_are_accepted(store: Store) -> None:
    with collecting(store) as collector, stub_of(collector) as stub:
        stub.Export(request("large", text="x" * 20_000_000), timeout=PATIENCE)
    assert store.query("SELECT length(SpanAttributes['text']) FROM otel_traces").rows == [(20_000_000,)]


def test_a_message_over_64_mib_is_refused_and_the_next_one_accepted(store: Store) -> None:
    with collecting(store) as collector, stub_of(collector) as stub:
        with pytest.raises(grpc.RpcError) as refused:
            stub.Export(request("huge", text="x" * (64 * 1024 * 1024)), timeout=PATIENCE)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        stub.Export(request("s1"), timeout=PATIENCE)
    assert names(store) == ["s1"]


def test_a_message_with_too_many_spans_is_refused_for_good(store: Store) -> None:
    with collecting(store) as collector, stub_of(collector) as stub:
        with pytest.raises(grpc.RpcError) as refused:
            stub.Export(request(*[""] * 100_001), timeout=PATIENCE)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "100000 spans" in str(refused.value.details())
        stub.Export(request("s1"), timeout=PATIENCE)
    assert names(store) == ["s1"]


def test_an_overloaded_collector_answers_unavailable_which_all_clients_retry(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncing, may_sync = threading.Event(), threading.Event()
    append = SegmentWriter.append

    def slow_append(writer: SegmentWriter, payloads: list[bytes]) -> None:
        syncing.set()
        assert may_sync.wait(PATIENCE)
        append(writer, payloads)

    monkeypatch.setattr(SegmentWriter, "append", slow_append)
    with collecting(store) as collector, ExitStack() as clients:
        # a client keeps back what is over MAX_STREAMS, whichever of its exports are answered first
        stubs = [clients.enter_context(stub_of(collector)) for _ in range(200 // MAX_STREAMS + 1)]
        exports = [stubs[n % len(stubs)].Export.future(request(f"s{n:03}"), timeout=PATIENCE) for n in range(200)]
        assert syncing.wait(PATIENCE)
        until = time.monotonic() + PATIENCE
        while sum(export.done() for export in exports) < 200 - MAX_REQUESTS:
            assert time.monotonic() < until
            time.sleep(0.01)
        may_sync.set()
        errors = [export.exception(PATIENCE) for export in exports]
    assert {error.code() for error in errors if error is not None} == {grpc.StatusCode.UNAVAILABLE}
    assert names(store) == [f"s{n:03}" for n, error in enumerate(errors) if error is None]
    assert len(names(store)) == MAX_REQUESTS


def test_concurrent_exports_are_all_stored(store: Store) -> None:
    with collecting(store) as collector, ExitStack() as clients:
        stubs = [clients.enter_context(stub_of(collector)) for _ in range(4)]
        answers = [stubs[n % 4].Export.future(request(f"s{n:02}"), timeout=PATIENCE) for n in range(MAX_REQUESTS)]
        for answer in answers:
            answer.result()
    assert names(store) == [f"s{number:02}" for number in range(MAX_REQUESTS)]


def test_a_port_in_use_is_an_error_of_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with Collector(Endpoint("127.0.0.1", 0)) as first:
        (taken,) = first.endpoints.values()
        with pytest.raises(ConfigurationError) as refused:
            Collector(taken)
    assert str(refused.value) == (
        f"cannot listen on {taken}: Address already in use; set --grpc-endpoint to another address or to none"
    )
    assert capfd.readouterr() == ("", "")


def test_a_host_of_another_machine_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen on 192\.0\.2\.1:0: "):
        Collector(Endpoint("192.0.2.1", 0))


@pytest.mark.parametrize(
    ("text", "endpoint", "loopback"),
    [
        ("127.0.0.1:4317", Endpoint("127.0.0.1", 4317), True),
        ("localhost:0", Endpoint("localhost", 0), True),
        ("[::1]:4317", Endpoint("::1", 4317), True),
        ("0.0.0.0:4317", Endpoint("0.0.0.0", 4317), False),
        ("collector.example:80", Endpoint("collector.example", 80), False),
    ],
)
def test_an_endpoint_is_parsed_into_host_and_port(text: str, endpoint: Endpoint, loopback: bool) -> None:
    assert Endpoint.parse(text) == endpoint
    assert (str(endpoint), endpoint.is_loopback) == (text, loopback)


@pytest.mark.parametrize(
    "text", ["", "4317", ":4317", "host:", "host:port", "host:-1", "host:65536", "http://host:1/x"]
)
def test_a_malformed_endpoint_is_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not host:port"):
        Endpoint.parse(text)
