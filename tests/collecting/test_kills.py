"""kill -9 of ``otel-coverage collect`` at random moments: what was acknowledged is in the store, and once."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from tests.collecting.test_collect_command import PATIENCE, collecting, run
from tests.collecting.test_inserter import a_request, a_span

SENDERS = 4

EVERYTHING = """
SELECT
    (SELECT groupArray(toString(SpanName)) FROM otel_traces) AS raw,
    (SELECT groupUniqArray(toString(name)) FROM coverage_spans) AS covered,
    (SELECT groupUniqArray(qualname) FROM coverage_functions) AS functions,
    (SELECT count() FROM coverage_batches FINAL WHERE NOT whole) AS unfinished
"""


class Sender(threading.Thread):
    """Sends spans one after the other, each until it is acknowledged, to whichever collector runs."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self._stopping = threading.Event()
        self.port = 0
        self.acknowledged: list[str] = []
        self.refused = 0

    def run(self) -> None:
        for n in range(100_000):
            message = a_request(a_span(f"{self._number}-{n}", f"shop:f{n}@{n + 1}", "shop:main@1"))
            while not self._send(message):
                self.refused += 1
                if self._stopping.wait(0.05):
                    return
            self.acknowledged.append(f"{self._number}-{n}")
            if self._stopping.is_set():
                return

    def _send(self, message: ExportTraceServiceRequest) -> bool:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
                TraceServiceStub(channel).Export(message, timeout=PATIENCE)  # type: ignore[no-untyped-call]
        except grpc.RpcError:
            return False
        return True

    def stop(self) -> None:
        self._stopping.set()
        self.join()


@pytest.mark.parametrize("seed", range(3))
def test_what_was_acknowledged_before_a_kill_is_in_the_store_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    dsn = f"chdb://{tmp_path}/store"
    senders = [Sender(number) for number in range(SENDERS)]
    for kill in range(2):
        with collecting(dsn) as collector:
            for sender in senders:
                sender.port = collector.port
                if not kill:
                    sender.start()
            before = sum(len(sender.acknowledged) for sender in senders)
            until = time.monotonic() + PATIENCE
            while sum(len(sender.acknowledged) for sender in senders) < before + 20:
                assert time.monotonic() < until
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 3))  # among others, in the middle of inserts, which take up to a second
            collector.process.send_signal(signal.SIGKILL)
            collector.process.wait(PATIENCE)
    for sender in senders:
        sender.stop()
    acknowledged = {name for sender in senders for name in sender.acknowledged}
    assert all(sender.refused for sender in senders)  # each was sending when the collector was killed
    asked = run("query", "--sql", EVERYTHING, "--store", dsn, "--format", "json")
    assert asked.returncode == 0, asked.stderr
    (found,) = json.loads(asked.stdout)
    assert acknowledged - set(found["raw"]) == set()
    assert [name for name, times in Counter(found["raw"]).items() if times > 1] == []
    assert set(found["covered"]) == set(found["raw"])
    assert set(found["functions"]) == {"main", *(f"f{name.partition('-')[2]}" for name in found["raw"])}
    assert found["unfinished"] == 0
