"""OTLP over HTTP."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import httpx
import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from otel_coverage.collecting import Collector, Endpoint
from otel_coverage.store import Store

PATIENCE = 60.0
PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


def message(*names: str) -> bytes:
    spans = [Span(name=name, trace_id=bytes(15) + b"\1", span_id=bytes(7) + b"\2") for name in names]
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])
    written: bytes = request.SerializeToString()
    return written


DOCUMENT = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "web"}}]},
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "5B8EFFF798038103D269B633813FC60C",
                            "spanId": "EEE19B7EC3C1B174",
                            "parentSpanId": "",
                            "name": "GET /",
                            "kind": 2,
                            "startTimeUnixNano": "1544712660000000000",
                            "endTimeUnixNano": "1544712661000000000",
                            "fieldOfTheFuture": 1,
                            "attributes": [{"key": "n", "value": {"intValue": "7"}}],
                        }
                    ]
                }
            ],
        }
    ]
}


@pytest.fixture
def collector(store: Store) -> Iterator[Collector]:
    with Collector(http=Endpoint("127.0.0.1", 0)) as collector:
        collector.start(store)
        yield collector


@pytest.fixture
def http(collector: Collector) -> Iterator[httpx.Client]:
    (endpoint,) = collector.endpoints.values()
    with httpx.Client(base_url=f"http://{endpoint}", timeout=PATIENCE) as opened:
        yield opened


def names(store: Store, collector: Collector) -> list[str]:
    assert collector.receiver.wait(PATIENCE) == 0
    return [name for (name,) in store.query("SELECT SpanName FROM otel_traces ORDER BY SpanName").rows]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_what_was_acknowledged_gets_into_the_store(
    store: Store, collector: Collector, http: httpx.Client, encoding: str, chunked: bool
) -> None:
    body = gzip.compress(message("s1", "s2")) if encoding == "gzip" else message("s1", "s2")
    content = iter([body[:7], body[7:]]) if chunked else body
    answer = http.post("/v1/traces", content=content, headers={**PROTOBUF, "Content-Encoding": encoding})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/x-protobuf")
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    assert names(store, collector) == ["s1", "s2"]


def test_spans_can_be_sent_as_json(store: Store, collector: Collector, http: httpx.Client) -> None:
    answer = http.post("/v1/traces", content=json.dumps(DOCUMENT), headers=JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    assert names(store, collector) == ["GET /"]
    columns = "TraceId, SpanId, ParentSpanId, SpanKind, ServiceName, Duration, SpanAttributes['n']"
    assert store.query(f"SELECT {columns} FROM otel_traces").rows == [
        ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "", "Server", "web", 10**9, "7")
    ]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (PROTOBUF, b"\xff\xff no protobuf"),
        (JSON, b"no json"),
        (JSON, b"[]"),
        (JSON, b'{"resourceSpans": 1}'),
        (JSON, b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}'),
        (JSON, b"[" * 100_000),
        ({**PROTOBUF, "Content-Encoding": "gzip"}, b"no gzip"),
        ({**PROTOBUF, "Content-Encoding": "snappy"}, b"x"),
    ],
)
def test_a_malformed_request_gets_a_status_that_is_not_retried(
    store: Store, collector: Collector, http: httpx.Client, headers: dict[str, str], body: bytes
) -> None:
    answer = http.post("/v1/traces", content=body, headers=headers)
    assert answer.status_code == 400
    error = answer.json() if headers is JSON else {"code": Status.FromString(answer.content).code}
    assert error["code"] == 3
    assert names(store, collector) == []


def test_other_paths_methods_and_types_are_refused(http: httpx.Client) -> None:
    assert http.post("/v1/metrics", content=b"", headers=PROTOBUF).status_code == 404
    assert http.get("/v1/traces").status_code == 405
    assert http.post("/v1/traces", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415


def test_while_the_store_fails_exports_are_acknowledged_and_wait_in_the_log(
    store: Store, collector: Collector, http: httpx.Client
) -> None:
    store.command("RENAME TABLE otel_traces TO gone")
    assert http.post("/v1/traces", content=message("s1"), headers=PROTOBUF).status_code == 200
    assert collector.receiver.wait(0.1) == 1
    store.command("RENAME TABLE gone TO otel_traces")
    assert names(store, collector) == ["s1"]


def test_a_message_over_64_mib_is_refused_and_the_next_one_accepted(
    store: Store, collector: Collector, http: httpx.Client
) -> None:
    packed = gzip.compress(bytes(65 * 1024 * 1024), 1)
    refused = http.post("/v1/traces", content=packed, headers={**PROTOBUF, "Content-Encoding": "gzip"})
    assert refused.status_code == 413
    assert http.post("/v1/traces", content=message("s1"), headers=PROTOBUF).status_code == 200
    assert names(store, collector) == ["s1"]


def nested(*numbers: int, count: int) -> bytes:
    """A message with as many empty messages at the end of a path of field numbers."""
    body = bytes([numbers[-1] << 3 | 2, 0]) * count
    for number in reversed(numbers[:-1]):
        length, size = b"", len(body)
        while size >= 0x80:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        body = bytes([number << 3 | 2]) + length + bytes([size]) + body
    return body


BOMBS = {
    "spans": nested(1, 2, 2, count=2_000_000),
    "resources": nested(1, count=2_000_000),
    "scopes": nested(1, 2, count=2_000_000),
    "attributes": nested(1, 2, 2, 9, count=2_000_000),
    "attributes of the resource": nested(1, 1, 1, count=2_000_000),
    "values of an attribute": nested(1, 2, 2, 9, 2, 5, 1, count=2_000_000),
    "events": nested(1, 2, 2, 11, count=2_000_000),
    "links": nested(1, 2, 2, 13, count=2_000_000),
    "a resource that each row repeats": ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=[KeyValue(key="a", value=AnyValue(string_value="x" * 1_000_000))]),
                scope_spans=[ScopeSpans(spans=[Span() for _ in range(1000)])],
            )
        ]
    ).SerializeToString(),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_body_that_unpacks_to_very_many_elements_is_refused(
    store: Store, collector: Collector, http: httpx.Client, bomb: str
) -> None:
    packed = gzip.compress(BOMBS[bomb])
    assert len(packed) < 20_000
    refused = http.post("/v1/traces", content=packed, headers={**PROTOBUF, "Content-Encoding": "gzip"})
    assert refused.status_code == 413
    assert "send smaller batches" in Status.FromString(refused.content).message
    assert http.post("/v1/traces", content=message("s1"), headers=PROTOBUF).status_code == 200
    assert names(store, collector) == ["s1"]


def test_json_that_unpacks_to_very_many_elements_is_refused(
    store: Store, collector: Collector, http: httpx.Client
) -> None:
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * 2_000_000 + b"{}]}]}]}"
    packed = gzip.compress(body)
    refused = http.post("/v1/traces", content=packed, headers={**JSON, "Content-Encoding": "gzip"})
    assert refused.status_code == 413
    assert "send smaller batches" in refused.json()["message"]
    assert names(store, collector) == []


def test_as_many_spans_as_are_allowed_are_stored(store: Store, collector: Collector, http: httpx.Client) -> None:
    count = 20_000
    assert (
        http.post(
            "/v1/traces", content=message(*(f"s{number}" for number in range(count))), headers=PROTOBUF
        ).status_code
        == 200
    )
    assert len(names(store, collector)) == count
