from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from otel_coverage.collecting.rows import COLUMNS, rows_of
from otel_coverage.store import Store


def pair(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def request(*spans: Span, service: str = "web") -> ExportTraceServiceRequest:
    scope = ScopeSpans(scope=InstrumentationScope(name="lib", version="1.2"), spans=spans)
    resource = Resource(attributes=[pair("service.name", service)])
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])])


FULL = Span(
    trace_id=bytes(range(16)),
    span_id=b"\x01" * 8,
    parent_span_id=b"\xff" * 8,
    trace_state="a=b",
    name="GET /",
    kind=Span.SPAN_KIND_SERVER,
    start_time_unix_nano=1_767_225_600_123_456_789,
    end_time_unix_nano=1_767_225_600_123_457_000,
    attributes=[pair("playback.profile", "checkout"), KeyValue(key="n", value=AnyValue(int_value=3))],
    status=Status(code=Status.STATUS_CODE_ERROR, message="boom"),
    events=[Span.Event(time_unix_nano=1_767_225_600_000_000_001, name="exception", attributes=[pair("k", "v")])],
    links=[Span.Link(trace_id=b"\x02" * 16, span_id=b"\x03" * 8, trace_state="c=d", attributes=[pair("l", "w")])],
)


def test_a_span_becomes_the_row_that_otelcol_would_write() -> None:
    (row,) = rows_of(request(FULL))
    assert dict(zip(COLUMNS, row, strict=True)) == {
        "Timestamp": 1_767_225_600_123_456_789,
        "TraceId": "000102030405060708090a0b0c0d0e0f",
        "SpanId": "01" * 8,
        "ParentSpanId": "ff" * 8,
        "TraceState": "a=b",
        "SpanName": "GET /",
        "SpanKind": "Server",
        "ServiceName": "web",
        "ResourceAttributes": {"service.name": "web"},
        "ScopeName": "lib",
        "ScopeVersion": "1.2",
        "SpanAttributes": {"playback.profile": "checkout", "n": "3"},
        "Duration": 211,
        "StatusCode": "Error",
        "StatusMessage": "boom",
        "Events.Timestamp": [1_767_225_600_000_000_001],
        "Events.Name": ["exception"],
        "Events.Attributes": [{"k": "v"}],
        "Links.TraceId": ["02" * 16],
        "Links.SpanId": ["03" * 8],
        "Links.TraceState": ["c=d"],
        "Links.Attributes": [{"l": "w"}],
    }


def test_an_empty_span_is_a_row_of_defaults() -> None:
    (row,) = rows_of(request(Span()))
    values = dict(zip(COLUMNS, row, strict=True))
    assert (values["TraceId"], values["SpanKind"], values["StatusCode"], values["Duration"]) == (
        "",
        "Unspecified",
        "Unset",
        0,
    )


def test_rows_are_stored_unchanged_to_the_nanosecond(store: Store) -> None:
    store.insert("otel_traces", COLUMNS, list(rows_of(request(FULL))))
    columns = ", ".join(f"`{column}`" for column in COLUMNS)
    record = store.query(
        "SELECT toUnixTimestamp64Nano(Timestamp) AS start, toUnixTimestamp64Nano(Events.Timestamp[1]) AS event,"
        f" {columns} FROM otel_traces"
    ).records()[0]
    (row,) = rows_of(request(FULL))
    expected = dict(zip(COLUMNS, row, strict=True))
    assert record.pop("start") == expected.pop("Timestamp")
    assert [record.pop("event")] == expected.pop("Events.Timestamp")
    assert {column: record[column] for column in expected} == expected


def test_times_and_kinds_out_of_range_are_stored_too(store: Store) -> None:
    odd = Span(start_time_unix_nano=2**64 - 1, end_time_unix_nano=1, kind=17, status=Status(code=9))  # type: ignore[arg-type]
    far = Span(start_time_unix_nano=0, end_time_unix_nano=2**64 - 1)
    store.insert("otel_traces", COLUMNS, list(rows_of(request(odd, far))))
    found = store.query("SELECT toYear(Timestamp), Duration, SpanKind, StatusCode FROM otel_traces ORDER BY ALL").rows
    assert found == [(1970, 2**64 - 1, "Unspecified", "Unset"), (2262, 0, "", "")]
