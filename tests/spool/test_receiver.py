"""Receivers over gRPC and HTTP, as the standard variables name them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from otel_coverage.errors import ConfigurationError
from otel_coverage.spool.receiver import Outcome, connect
from tests.spool.requests import names_in, request
from tests.support.collector import Collector


class Refusing(TraceServiceServicer):
    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code
        self.metadata: dict[str, Any] = {}

    def Export(self, message: Any, context: Any) -> ExportTraceServiceResponse:  # noqa: N802
        self.metadata = dict(context.invocation_metadata())
        if self._code is not grpc.StatusCode.OK:
            context.abort(self._code, "as the test wants it")
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = 1
        answer.partial_success.error_message = "one is too long"
        return answer


@contextmanager
def refusing(code: grpc.StatusCode) -> Iterator[tuple[str, Refusing]]:
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = Refusing(code)
    add_TraceServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", servicer
    server.stop(None).wait()


CODE = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (CODE.UNAVAILABLE, Outcome.LATER),
        (CODE.RESOURCE_EXHAUSTED, Outcome.LATER),
        (CODE.UNAUTHENTICATED, Outcome.LATER),
        (CODE.INVALID_ARGUMENT, Outcome.REFUSED),
        (CODE.INTERNAL, Outcome.FAILED),
    ],
    ids=lambda value: value.name,
)
def test_what_grpc_answers_says_what_becomes_of_the_message(
    code: grpc.StatusCode, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing(code) as (endpoint, _):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        receiver = connect()
        answer = receiver.send(request("a"))
        receiver.close()
    assert answer.outcome is outcome
    assert code.name in answer.detail


def test_headers_reach_a_grpc_receiver_and_partial_success_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing(CODE.OK) as (endpoint, servicer):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret")
        receiver = connect()
        answer = receiver.send(request("a", "b"))
        receiver.close()
    assert servicer.metadata["api-key"] == "secret"
    assert (answer.outcome, answer.refused, answer.detail) == (Outcome.ACCEPTED, 1, "one is too long")


def test_a_message_over_the_limit_of_a_grpc_receiver_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector(largest_message=50_000)
    collector.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    receiver = connect()
    assert receiver.send(request("a", size=60_000)).outcome is Outcome.TOO_LARGE
    assert receiver.send(request("b")).outcome is Outcome.ACCEPTED
    receiver.close()
    collector.stop()


class Handler(BaseHTTPRequestHandler):
    status = 200
    seen: list[tuple[str, dict[str, str], bytes]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, {key.lower(): text for key, text in self.headers.items()}, body))
        self.send_response(self.status)
        self.send_header("Retry-After", "3")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Handler]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    Handler.status, Handler.seen = 200, []
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}/base/")
    yield Handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_http_gets_the_path_the_headers_and_the_compression_of_the_variables(
    http: type[Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=secret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    receiver = connect()
    assert receiver.send(request("a", "b")).outcome is Outcome.ACCEPTED
    receiver.close()
    ((path, headers, body),) = http.seen
    assert path == "/base/v1/traces"
    assert headers["api-key"] == "secret"
    assert headers["content-type"] == "application/x-protobuf"
    assert names_in(gzip.decompress(body)) == ["a", "b"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Outcome.REFUSED),
        (413, Outcome.TOO_LARGE),
        (429, Outcome.LATER),
        (401, Outcome.LATER),
        (500, Outcome.FAILED),
        (503, Outcome.LATER),
        (307, Outcome.LATER),
    ],
)
def test_what_http_answers_says_what_becomes_of_the_message(status: int, outcome: Outcome, http: type[Handler]) -> None:
    http.status = status
    receiver = connect()
    answer = receiver.send(request("a"))
    receiver.close()
    assert answer.outcome is outcome
    assert str(status) in answer.detail
    assert answer.delay == (3.0 if outcome is Outcome.LATER else None)


def test_other_exporters_are_no_receivers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    with pytest.raises(ConfigurationError, match="expected otlp"):
        connect()
