from __future__ import annotations

import threading

import httpx
import pytest

from otel_coverage.collecting import Collector, Endpoint
from otel_coverage.collecting.memory import MemoryFullError, RequestMemory
from otel_coverage.store import Store
from tests.collecting.test_inserter import a_request, a_span

PROTOBUF = {"Content-Type": "application/x-protobuf"}


def test_requests_share_what_there_is_and_give_it_back() -> None:
    memory = RequestMemory(100)
    with memory.request() as first:
        first.add(60)
        with memory.request() as second, pytest.raises(MemoryFullError, match="have 60 bytes; retry later"):
            second.add(50)
        with memory.request() as second:
            second.add(40)
    with memory.request() as only:
        only.add(100)


def test_a_request_that_is_alone_may_have_more() -> None:
    memory = RequestMemory(100)
    with memory.request() as only:
        for _ in range(5):
            only.add(60)
        with memory.request() as other, pytest.raises(MemoryFullError):
            other.add(1)


def test_no_share_is_lost_between_threads() -> None:
    memory = RequestMemory(10**9)

    def use() -> None:
        for _ in range(1000):
            with memory.request() as share:
                share.add(7)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory._used == 0


def test_a_request_for_which_there_is_no_memory_is_told_to_come_again(store: Store) -> None:
    body = a_request(a_span("a")).SerializeToString()
    with Collector(http=Endpoint("127.0.0.1", 0)) as collector:
        collector.start(store)
        url = f"http://{collector.endpoints['OTLP/HTTP']}/v1/traces"
        with collector.receiver.memory.request() as others:
            others.add(collector.receiver.memory._max_bytes)
            refused = httpx.post(url, content=body, headers=PROTOBUF, timeout=60)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert httpx.post(url, content=body, headers=PROTOBUF, timeout=60).status_code == 200
