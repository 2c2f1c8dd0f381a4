"""Receivers that take only small messages: batches are split, and what cannot be split arrives with a mark."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from otel_coverage.spool.receiver import _TOO_LARGE, _limit, default_compression
from otel_coverage.tracing.export.encoding import encode_request
from tests.spool.test_sender import service
from tests.support.collector import running_collector
from tests.support.commands import wait_until

KIB = 1024


def request(*sizes: int) -> bytes:
    """Spans named by their numbers, with sets of about that many bytes."""
    tracer = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False).get_tracer("t")
    spans: list[ReadableSpan] = []
    for number, size in enumerate(sizes):
        names = [f"shop.orders:order_{index:05d}@{index}" for index in range(max(1, size // 36))]
        attributes: dict[str, Any] = {
            "playback.profile": "checkout",
            "coverage.functions": names,
            "coverage.function_count": len(names),
            "coverage.complete": True,
        }
        span = tracer.start_span(str(number), attributes=attributes)
        span.end()
        assert isinstance(span, ReadableSpan)
        spans.append(span)
    return encode_request(spans)


def test_batches_are_split_until_the_receiver_takes_them(tmp_path: Path) -> None:
    with running_collector(largest_message=64 * KIB) as collector:
        with service(tmp_path / "spool", collector.endpoint) as it:
            it.append(request(*[10 * KIB] * 40))
            spans = collector.wait_for(lambda spans: len(spans) >= 40)
        assert sorted(int(span.name) for span in spans) == list(range(40))
        assert max(collector.message_sizes) <= 64 * KIB
        assert all(span.attributes["coverage.complete"] is True for span in spans)


def test_a_span_that_no_message_of_the_receivers_holds_arrives_without_its_set_and_is_incomplete(
    tmp_path: Path,
) -> None:
    with running_collector(largest_message=64 * KIB) as collector:
        with service(tmp_path / "spool", collector.endpoint) as it:
            it.append(request(KIB, 200 * KIB, KIB))
            spans = {span.name: span for span in collector.wait_for(lambda spans: len(spans) >= 3)}
        assert [spans[name].attributes["coverage.complete"] for name in "012"] == [True, False, True]
        cut = spans["1"].attributes
        assert "coverage.functions" not in cut
        assert cut["coverage.function_count"] > 5_000
        assert cut["coverage.incomplete_reason"] == "receiver_limit"
        assert "coverage.functions" in cut["coverage.incomplete_detail"]
        assert cut["playback.profile"] == "checkout"


@contextmanager
def http_receiver(largest: int) -> Iterator[tuple[str, list[str]]]:
    """An OTLP/HTTP receiver that answers 413 to larger messages; the names of the spans that it has accepted."""
    names: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if len(body) <= largest:
                groups = ExportTraceServiceRequest.FromString(body).resource_spans
                names.extend(span.name for group in groups for scope in group.scope_spans for span in scope.spans)
            self.send_response(200 if len(body) <= largest else 413)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", names
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_over_http_413_splits_too(tmp_path: Path) -> None:
    with (
        http_receiver(64 * KIB) as (endpoint, names),
        service(tmp_path / "spool", endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf") as it,
    ):
        it.append(request(*[10 * KIB] * 40))
        wait_until(lambda: len(names) >= 40)
    assert sorted(map(int, names)) == list(range(40))


@pytest.mark.parametrize(
    ("said", "limit"),
    [
        ("CLIENT: Received message larger than max (5242880 vs. 4194304)", 4194304),  # C
        ("grpc: received message larger than max (5242880 vs. 4194304)", 4194304),  # Go
        ("grpc: received message after decompression larger than max 4194304", None),
        ("gRPC message exceeds maximum size 4194304: 5242880", 4194304),  # Java
        ("Error, decoded message length too large: found 5242880 bytes, the limit is: 4194304 bytes", 4194304),  # Rust
    ],
)
def test_every_server_is_understood(said: str, limit: int | None) -> None:
    assert _TOO_LARGE.search(said)
    assert _limit(said) == limit


def test_a_receiver_that_only_asks_to_wait_has_no_limit() -> None:
    assert not _TOO_LARGE.search("Too many requests: quota exhausted")


@pytest.mark.parametrize(
    ("endpoint", "compression"),
    [
        ("http://localhost:4317", "none"),
        ("127.0.0.1:4317", "none"),
        ("http://[::1]:4317", "none"),
        ("unix:///run/collector.sock", "none"),
        ("http://collector:4317", "gzip"),
        ("https://otel.example.org", "gzip"),
    ],
)
def test_only_what_leaves_the_machine_is_compressed_by_default(endpoint: str, compression: str) -> None:
    assert default_compression({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}) == compression
