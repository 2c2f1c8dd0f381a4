"""A thousand forks of processes that have sent spans, whatever gRPC is told about forks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.comparison import compare
from tests.faults.deployment import Deployment, wait_until

SUPPORT = {"unset": {}, "0": {"GRPC_ENABLE_FORK_SUPPORT": "0"}, "1": {"GRPC_ENABLE_FORK_SUPPORT": "1"}}
SLOWEST = 20.0  # seconds that ten forks may take, on a machine that does much else


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("support", "behaviour", "requests"),
    [("unset", "forward", 30), ("0", "forward", 30), ("1", "forward", 30), ("unset", "silent", 5), ("1", "silent", 5)],
)
def test_no_fork_of_a_web_server_hangs(folder: Path, support: str, behaviour: str, requests: int) -> None:
    with Deployment(folder, SUPPORT[support]) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "2", worker=False)
        deployment.send("before", [{"method": "GET", "path": "/take/1/before", "profile": "before"}]).wait()
        wait_until(deployment.exports)  # something was sent, over a channel
        deployment.relay(behaviour)
        forks = [
            {"method": "GET", "path": f"/fork/0-1-2-3-4-5-6-7-8-9/fork-{number}", "profile": f"p-{number % 3}"}
            for number in range(requests)
        ]
        deployment.send("forks", forks, threads=2).wait()
        deployment.relay("forward")
        deployment.settle()
        comparison = compare(deployment, ["before", "forks"])
        sent = {line["id"]: line["at"] for line in deployment.requests() if line["event"] == "sent"}
        slowest = max(line["at"] - sent[line["id"]] for line in deployment.requests() if line["event"] != "sent")
        processes = deployment.query(
            "SELECT uniqExact(SpanId) FROM otel_traces WHERE SpanAttributes['coverage.role'] = 'process'"
        ).rows[0][0]
        print(f"{processes} processes of {10 * requests}, slowest request {slowest:.1f} s; {comparison.summary()}")
        assert slowest < SLOWEST
        assert not comparison.errors
        assert processes == 10 * requests


@pytest.mark.timeout(600)
@pytest.mark.parametrize("support", SUPPORT)
def test_no_work_horse_hangs(folder: Path, support: str) -> None:
    count = 60
    with Deployment(folder, SUPPORT[support]) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4")
        jobs = [
            {"method": "POST", "path": f"/enqueue/{number % 24}/horse-{number}", "profile": f"p-{number % 3}"}
            for number in range(count)
        ]
        deployment.send("horses", jobs).wait()
        wait_until(lambda: sum(line["event"] == "done" for line in deployment.jobs()) == count)
        deployment.settle()
        comparison = compare(deployment, ["horses"])
        print(comparison.summary())
        comparison.check()
        assert not comparison.lost
