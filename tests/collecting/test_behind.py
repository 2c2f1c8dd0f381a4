"""Readers see what was acknowledged, or are told how much they do not see."""

from __future__ import annotations

import json
from collections.abc import Iterator

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from otel_coverage.collecting import Access, Collector, Endpoint
from otel_coverage.store import Store, open_store
from tests.collecting.test_inserter import PATIENCE, a_request, a_span

FREE_PORT = Endpoint("127.0.0.1", 0)


@pytest.fixture
def collector(store: Store) -> Iterator[Collector]:
    with Collector(grpc=FREE_PORT, clickhouse=FREE_PORT, access=Access(password="")) as collector:
        collector.start(store)
        yield collector


def send(collector: Collector, *names: str) -> None:
    with grpc.insecure_channel(str(collector.endpoints["OTLP/gRPC"])) as channel:
        stub = TraceServiceStub(channel)  # type: ignore[no-untyped-call]
        for name in names:
            stub.Export(a_request(a_span(name, "shop:f@1")), timeout=PATIENCE)


def reader(collector: Collector, store: Store) -> Store:
    return open_store(f"clickhouse://{collector.endpoints['ClickHouse HTTP']}/{store.database}", read_only=True)


def test_a_query_sees_what_was_acknowledged_before_it(store: Store, collector: Collector) -> None:
    with reader(collector, store) as asking:
        for number in range(3):
            send(collector, f"s{number}")
            found = asking.query("SELECT count(), uniqExact(name) FROM coverage_spans").rows
            assert found == [(number + 1, number + 1)]


def test_a_query_that_waited_in_vain_says_how_much_it_lacks_and_the_next_ones_do_not_wait_long(
    store: Store, collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    send(collector, "before")
    with reader(collector, store) as asking:
        assert asking.query("SELECT name FROM coverage_spans").rows == [("before",)]
        store.command("RENAME TABLE coverage_functions TO gone")
        send(collector, "s1", "s2")
        monkeypatch.setattr("otel_coverage.collecting.receiver._PATIENCE", 0.1)
        monkeypatch.setattr("otel_coverage.collecting.receiver._SHORT_PATIENCE", 0.1)
        caplog.clear()
        collector.receiver.drain()
        for _ in range(2):
            asking.query("SELECT count() FROM coverage_spans")
        told = [record.message for record in caplog.records if "not in this result" in record.message]
        assert [text.partition(": ")[2][:44] for text in told] == ["2 accepted exports are not in the store yet,"]
        answer = httpx.get(
            f"http://{collector.endpoints['ClickHouse HTTP']}",
            params={"query": "SELECT count() FROM coverage_spans"},
            timeout=PATIENCE,
        )
        assert json.loads(answer.headers["X-ClickHouse-Summary"])["otel_coverage_behind"] == "2"
        store.command("RENAME TABLE gone TO coverage_functions")
        assert collector.receiver.wait(PATIENCE) == 0
        assert asking.query("SELECT count() FROM coverage_spans FINAL").rows == [(3,)]
