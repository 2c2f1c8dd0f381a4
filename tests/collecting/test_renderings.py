"""One run, by three roads: Rotel, our own collector, and rows as otelcol's exporter writes them."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from otel_coverage.collecting import Access, Collector, Endpoint
from otel_coverage.collecting.rows import COLUMNS, rows_of
from otel_coverage.store import Store, open_store
from otel_coverage.store.sql_files import sql_files
from tests.support.rotel import rotel
from tests.support.spans import TABLES, every_column, insert_catalog
from tests.support.store import AppliedDatabase

PATIENCE = 60.0
FREE_PORT = Endpoint("127.0.0.1", 0)
START = 1_767_225_600 * 10**9
BATCHES = 20
FUNCTIONS = [f"shop.m{number}:f{number}.<locals>.g@{number + 1}" for number in range(12)] + ["a&b:ü.<lambda>@3"]


def attribute(key: str, value: str | int | bool | Sequence[str]) -> KeyValue:
    match value:
        case bool():
            wrapped = AnyValue(bool_value=value)
        case int():
            wrapped = AnyValue(int_value=value)
        case str():
            wrapped = AnyValue(string_value=value)
        case _:
            wrapped = AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=text) for text in value]))
    return KeyValue(key=key, value=wrapped)


def span(number: int, *, trace: int, kind: int, parent: int = 0, **values: str | int | bool | Sequence[str]) -> Span:
    role = str(values["coverage_role"])
    common = {"playback.profile": ("checkout", "it's <b>", "month-end")[trace % 3], "playback.run_id": f"r{trace % 2}"}
    if role in ("startup", "routes"):
        common = {"playback.profile": "_startup"}
    attributes = {**common, **{name.replace("_", ".", 1): value for name, value in values.items()}}
    return Span(
        trace_id=trace.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=f"{role} {number}",
        kind=kind,  # type: ignore[arg-type]
        start_time_unix_nano=START + number * 10**9,
        end_time_unix_nano=START + number * 10**9 + 5_000_000,
        status=Status(code=number % 3),  # type: ignore[arg-type]
        attributes=[attribute(key, value) for key, value in attributes.items()],
    )


def covered(draw: random.Random) -> dict[str, str | int | bool | Sequence[str]]:
    functions = sorted(draw.sample(FUNCTIONS, draw.randrange(1, 8)))
    lines = sorted({f"shop/m{draw.randrange(5)}.py:{first}-{first + 3},{first + 9}" for first in (1, 20)})
    return {
        "coverage_functions": functions,
        "coverage_lines": lines,
        "coverage_function_count": len(functions) + (draw.random() < 0.1),  # one is missing
        "coverage_line_count": 5 * len(lines),
        "coverage_arcs": [f"shop/m{draw.randrange(5)}.py:-20/21/20,-9/21/-20"],
        "coverage_arc_count": 4,
        "coverage_granularity": "line",
        "coverage_engine": "monitoring",
        "coverage_complete": draw.random() < 0.9,
        "coverage_entry_kind": draw.choice(["request", "job"]),
        "coverage_entry_name": draw.choice(["GET /orders/<int:number>", 'shop.jobs:"ship"']),
        "coverage_entry_point": draw.choice(FUNCTIONS),
    }


def requests() -> list[ExportTraceServiceRequest]:
    """Requests and jobs of three profiles, in batches: client, server, producer and consumer, with parts."""
    draw = random.Random(7)
    made = []
    for batch in range(BATCHES):
        trace, first = batch + 1, 10 * batch + 1
        spans = [
            span(first, trace=trace, kind=Span.SPAN_KIND_CLIENT, coverage_role="client"),
            span(
                first + 1,
                trace=trace,
                kind=Span.SPAN_KIND_SERVER,
                parent=first,
                coverage_role="server",
                **covered(draw),
            ),
            span(first + 2, trace=trace, kind=Span.SPAN_KIND_PRODUCER, parent=first + 1, coverage_role="producer"),
            span(
                first + 4,
                trace=trace,
                kind=Span.SPAN_KIND_INTERNAL,
                parent=first + 1,
                coverage_role="part",
                **covered(draw),
            ),
        ]
        if batch % 5:  # else the job is missing
            consumer = span(
                first + 3,
                trace=trace,
                kind=Span.SPAN_KIND_CONSUMER,
                parent=first + 2,
                coverage_role="consumer",
                **covered(draw),
            )
            spans.append(consumer)
        else:
            startup = span(
                first + 5, trace=trace, kind=Span.SPAN_KIND_INTERNAL, parent=0, coverage_role="startup", **covered(draw)
            )
            told = ["request", "GET", "/é/<path:name>", "shop.<locals>", FUNCTIONS[batch % 13]]
            routes = span(
                first + 6,
                trace=trace,
                kind=Span.SPAN_KIND_INTERNAL,
                coverage_role="routes",
                coverage_routes=[json.dumps(told)],
            )
            spans += [startup, routes]
        resource = {
            "service.name": ("web", "worker")[batch % 2],
            "vcs.ref.head.revision": ("abc", "def")[batch % 7 == 0],
        }
        resource_spans = ResourceSpans(
            resource=Resource(attributes=[attribute(key, value) for key, value in resource.items()]),
            scope_spans=[ScopeSpans(spans=spans)],
        )
        made.append(ExportTraceServiceRequest(resource_spans=[resource_spans]))
    return made


def send(endpoint: str, batches: Sequence[ExportTraceServiceRequest]) -> None:
    with grpc.insecure_channel(endpoint) as channel:
        stub = TraceServiceStub(channel)  # type: ignore[no-untyped-call]
        for batch in batches:
            stub.Export(batch, timeout=PATIENCE, wait_for_ready=True)


def through_our_collector(store: Store, batches: Sequence[ExportTraceServiceRequest]) -> None:
    with Collector(FREE_PORT) as collector:
        collector.start(store)
        send(str(collector.endpoints["OTLP/gRPC"]), batches)


def through_rotel(store: Store, batches: Sequence[ExportTraceServiceRequest], *options: str) -> None:
    with Collector(clickhouse=FREE_PORT, access=Access(password="")) as collector:
        collector.start(store)
        clickhouse = str(collector.endpoints["ClickHouse HTTP"])
        with rotel(clickhouse, "--clickhouse-exporter-database", store.database, *options) as agent:
            before = count(store)
            send(agent.grpc, batches)
            expected = before + sum(len(batch.resource_spans[0].scope_spans[0].spans) for batch in batches)
            deadline = time.monotonic() + PATIENCE
            while count(store) < expected:
                assert time.monotonic() < deadline, f"{count(store)} of {expected} spans; Rotel says:\n{agent.output}"
                time.sleep(0.05)


def as_otelcol_writes(store: Store, batches: Sequence[ExportTraceServiceRequest], *, old_names: bool) -> None:
    for batch in batches:
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in rows_of(batch)]
        for row in rows:
            if old_names:
                row["SpanKind"] = f"SPAN_KIND_{row['SpanKind'].upper()}"
                row["StatusCode"] = f"STATUS_CODE_{row['StatusCode'].upper()}"
        store.insert("otel_traces", COLUMNS, [list(row.values()) for row in rows])


def count(store: Store) -> int:
    counted: int = store.query("SELECT count() FROM otel_traces").rows[0][0]
    return counted


def with_catalog(store: Store) -> Store:
    symbols = [
        {"module": f"shop.m{number}", "qualname": f"f{number}.<locals>.g", "line": number + 1} for number in range(15)
    ]
    for revision in ("abc", "def"):
        insert_catalog(store, *symbols, revision=revision)
    return store


def everything(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all views and coverage tables, all columns."""
    asked = {table: f"SELECT {every_column(table)} FROM {table} FINAL ORDER BY ALL" for table in TABLES}
    asked |= {view: f"SELECT {every_column(view)} FROM {view} ORDER BY ALL" for view in view_names()}
    return {name: store.query(sql).rows for name, sql in asked.items()}


def view_names() -> set[str]:
    text = "\n".join(file.text for file in sql_files("views"))
    found = set(re.findall(r"^CREATE OR REPLACE VIEW (\w+)", text, re.MULTILINE))
    # the tables' rows, merged or not
    as_stored = {"counted_functions", "counted_lines", "counted_arcs", "counted_under_entry_points"}
    return found - as_stored


def some_twice(batches: Sequence[ExportTraceServiceRequest]) -> list[ExportTraceServiceRequest]:
    """10 % of the batches, for redelivery."""
    return random.Random(1).sample(list(batches), len(batches) // 10)


@dataclass(frozen=True)
class Delivered:
    """A store that our collector wrote to, and what its tables and views hold."""

    store: Store
    rows: dict[str, list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def ours(store_folder: Path) -> Iterator[Delivered]:
    database = AppliedDatabase(store_folder)
    with open_store(database.dsn()) as store:
        through_our_collector(with_catalog(store), requests())
        rows = everything(store)
        assert all(rows[name] for name in (*TABLES, "coverage_matrix", "coverage_gaps", "run_completeness"))
        yield Delivered(store, rows)
    database.drop()


def test_redelivery_through_our_collector_changes_no_view(ours: Delivered) -> None:
    through_our_collector(ours.store, some_twice(requests()))
    assert everything(ours.store) == ours.rows


@pytest.mark.until(3, 13)
@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_views_are_identical_through_rotel_and_our_collector_and_after_redelivery(
    store: Store, ours: Delivered, compression: str
) -> None:
    batches = requests()
    through_rotel(with_catalog(store), batches, "--clickhouse-exporter-compression", compression)
    assert everything(store) == ours.rows
    through_rotel(store, some_twice(batches), "--clickhouse-exporter-compression", compression)
    assert everything(store) == ours.rows


@pytest.mark.parametrize("old_names", [False, True])
def test_views_are_identical_for_otelcols_rows_and_our_collector_and_after_redelivery(
    store: Store, ours: Delivered, old_names: bool
) -> None:
    batches = requests()
    as_otelcol_writes(with_catalog(store), batches, old_names=old_names)
    assert everything(store) == ours.rows
    as_otelcol_writes(store, some_twice(batches), old_names=old_names)
    assert everything(store) == ours.rows
