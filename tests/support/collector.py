"""An OTLP/gRPC receiver in the test's own process, which keeps the spans that it receives."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

PATIENCE = 120.0  # seconds that a test waits for spans before it fails


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it was received, ids in hexadecimal."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str
    status: str
    events: tuple[str, ...]

    @property
    def role(self) -> str | None:
        """Its attribute ``coverage.role``; None where it has none."""
        return self.attributes.get("coverage.role")

    @property
    def functions(self) -> frozenset[str]:
        """Its symbols as ``module:qualname``, without the line, which changes with the source."""
        return frozenset(symbol.rpartition("@")[0] for symbol in self.attributes.get("coverage.functions", ()))


class Collector(TraceServiceServicer):
    """Receives exports on a free port of the loopback interface.

    Args:
        largest_message: the largest message that is accepted, in bytes; None for gRPC's default of 4 MiB.
        delay: seconds between the receipt of a request and the response.
        port: another than a free one.

    Attributes:
        endpoint: its URL.
        routes: what processes told of their routes: kind, method, rule, endpoint and symbol of each, with the service.
        message_sizes: the size of each request, in bytes.
    """

    def __init__(self, largest_message: int | None = None, delay: float = 0.0, port: int = 0) -> None:
        self._delay = delay
        self._requested = threading.Event()
        self._may_respond = threading.Event()
        self._may_respond.set()
        self._arrived = threading.Condition()
        self._spans: list[ReceivedSpan] = []  # but for those that tell routes, which come at a time of their own
        self.routes: list[list[str]] = []
        self.message_sizes: list[int] = []
        options = [] if largest_message is None else [("grpc.max_receive_message_length", largest_message)]
        self._server = grpc.server(ThreadPoolExecutor(max_workers=4), options=options)
        add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"

    def start(self) -> None:
        """Start listening."""
        self._server.start()

    @contextmanager
    def silence(self) -> Iterator[threading.Event]:
        """Hold all responses back meanwhile. The event is set when the first request has arrived."""
        self._requested.clear()
        self._may_respond.clear()
        try:
            yield self._requested
        finally:
            self._may_respond.set()

    def stop(self) -> None:
        """Stop listening, and cancel requests that have no response yet."""
        self._may_respond.set()
        self._server.stop(None).wait()

    def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:  # noqa: N802
        """The method of the gRPC service."""
        spans = [
            _received(span, _attributes(group.resource.attributes), scope.scope.name)
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]
        self._requested.set()
        time.sleep(self._delay)
        self._may_respond.wait()
        with self._arrived:
            self.message_sizes.append(request.ByteSize())
            self._spans += [span for span in spans if span.role != "routes"]
            for span in spans:
                if span.role == "routes":
                    service = str(span.resource.get("service.name", ""))
                    self.routes += [[service, *json.loads(text)] for text in span.attributes["coverage.routes"]]
            self._arrived.notify_all()
        return ExportTraceServiceResponse()

    @property
    def spans(self) -> list[ReceivedSpan]:
        """The spans received so far, in the order of their arrival."""
        with self._arrived:
            return list(self._spans)

    def clear(self) -> None:
        """Drop the spans received so far."""
        with self._arrived:
            self._spans.clear()

    def wait_for(self, enough: Callable[[list[ReceivedSpan]], object]) -> list[ReceivedSpan]:
        """The spans received so far, as soon as ``enough(spans)`` is true; AssertionError after `PATIENCE` seconds."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: enough(self._spans), PATIENCE):
                names = [(span.name, span.role) for span in self._spans]
                raise AssertionError(f"still missing after {PATIENCE} s; arrived: {names}")
            return list(self._spans)

    def wait_for_routes(self, enough: Callable[[list[list[str]]], object]) -> list[list[str]]:
        """What was told of routes, as soon as ``enough(routes)`` is true; AssertionError after `PATIENCE` seconds."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: enough(self.routes), PATIENCE):
                raise AssertionError(f"still missing after {PATIENCE} s; told: {self.routes}")
            return list(self.routes)

    def wait_for_roles(self, role: str, number: int = 1) -> list[ReceivedSpan]:
        """The spans of a role, as soon as there are that many; AssertionError after `PATIENCE` seconds."""
        found = self.wait_for(lambda spans: sum(span.role == role for span in spans) >= number)
        return [span for span in found if span.role == role]


@contextmanager
def running_collector(largest_message: int | None = None, delay: float = 0.0, port: int = 0) -> Iterator[Collector]:
    """A collector on that port of the loopback interface, or a free one."""
    collector = Collector(largest_message, delay, port)
    collector.start()
    try:
        yield collector
    finally:
        collector.stop()


@pytest.fixture
def slow_collector() -> Iterator[Collector]:
    """A collector that responds to each export after one second."""
    with running_collector(delay=1.0) as running:
        yield running


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on a free port of the loopback interface."""
    with running_collector() as running:
        yield running


def _received(span: Any, resource: dict[str, Any], scope: str) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        resource=resource,
        scope=scope,
        status=span.status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        events=tuple(event.name for event in span.events),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs if isinstance(pair, KeyValue)}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
