"""An application of others, compared with coverage.py: rq-dashboard, unchanged from PyPI."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import rq
from redis import Redis

from otel_coverage.collecting import Collector, Endpoint
from otel_coverage.store import Store
from tests.support.commands import PATIENCE, clean_environment, gunicorn, wait_until_sent
from tests.support.traced import DATA

PROFILES = {
    "overview": [
        "/",
        "/0/data/queues.json",
        "/favicon.ico",
        "/7/view/queues",  # an index out of range: an exception in before_request
    ],
    "workers": ["/0/view/workers", "/0/data/workers.json"],
    "pages": ["/0/view/jobs", "/0/view/jobs/default/failed/8/asc/1", "/0/view/job/waits"],
    "queued": ["/0/data/jobs/default/queued/2/asc/1.json", "/0/data/jobs/default/queued/2/dsc/2.json"],
    "failed": ["/0/data/jobs/default/failed/8/asc/1.json", "/0/data/job/fails.json"],
    "job": ["/0/data/job/waits.json", "/0/data/job/no-such-job.json"],  # the last: an exception in the view
}

# options of gunicorn; greenlets share a thread, which needs sys.monitoring
SERVERS = [
    pytest.param(["-k", "gthread", "--threads", "8"], id="gthread"),
    pytest.param(["-k", "gevent"], id="gevent", marks=pytest.mark.since(3, 12)),
]


@pytest.fixture
def redis_with_jobs(redis: Redis, redis_url: str) -> str:
    """A Redis with jobs in several states, and a registered worker."""
    queue = rq.Queue(connection=redis)
    queue.enqueue("math.sqrt", -1, job_id="fails")
    worker = rq.SimpleWorker([queue], connection=redis, name="somebody")
    worker.work(burst=True)
    for number in range(3):
        queue.enqueue("math.sqrt", number)
    queue.enqueue("math.sqrt", 4, job_id="waits", depends_on=queue.enqueue("math.sqrt", 9))
    worker.register_birth()  # type: ignore[no-untyped-call]
    return redis_url


@pytest.fixture
def second_opinion(redis_with_jobs: str) -> dict[str, Any]:
    """What coverage.py finds, profile by profile, in a process without anything of ours."""
    done = subprocess.run(
        [sys.executable, "second_opinion.py"],
        input=json.dumps(PROFILES),
        cwd=DATA / "dashboard",
        env=clean_environment(REDIS_URL=redis_with_jobs, COVERAGE_CORE="ctrace"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.row("rq-dashboard as coverage.py finds it")
@pytest.mark.parametrize("together", [1, 6], ids=["one at a time", "six at once"])
@pytest.mark.parametrize("server", SERVERS)
def test_what_clickhouse_holds_of_each_profile_equals_what_coverage_finds(
    server: list[str], together: int, second_opinion: dict[str, Any], redis_with_jobs: str, store: Store
) -> None:
    with Collector(Endpoint.parse("127.0.0.1:0")) as collector:
        collector.start(store)
        play(server, together, redis_with_jobs, f"http://{collector.endpoints['OTLP/gRPC']}")
        wait_until_sent()
        assert collector.receiver.wait() == 0
    assert second_opinion.keys() == PROFILES.keys()
    for profile, expected in second_opinion.items():
        assert functions_in(store, profile) == expected["functions"], profile
        assert lines_in(store, profile) == expected["lines"], profile
    assert store.query("SELECT count() FROM coverage_spans WHERE NOT complete").rows == [(0,)]


def test_the_second_opinion_differs_from_profile_to_profile(second_opinion: dict[str, Any]) -> None:
    names = {
        profile: {symbol.rpartition("@")[0].removeprefix("rq_dashboard.web:") for symbol in found["functions"]}
        for profile, found in second_opinion.items()
    }
    assert "push_rq_connection" in frozenset.intersection(*map(frozenset, names.values()))
    own = {
        "overview": {"queues_overview", "favicon", "list_queues"},
        "workers": {"workers_overview", "list_workers.<locals>.serialize_queue_names"},
        "pages": {"jobs_overview", "job_view"},
        "queued": {"pagination_window"},
        "failed": {"serialize_job"},
        "job": {"job_info"},
    }
    for profile, functions in own.items():
        assert functions <= names[profile], profile
    assert len({frozenset(found) for found in names.values()}) == len(PROFILES)


def play(server: list[str], together: int, redis_url: str, endpoint: str) -> None:
    """Play all profiles, ``together`` of them at a time; each request waits until the others are ready, too."""
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": "rq_dashboard",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_SERVICE_NAME": "dashboard",
        "REDIS_URL": redis_url,
    }
    options = [*server, "--pythonpath", str(DATA / "dashboard")]
    with gunicorn("served_dashboard:app", *options, **environment) as client, ThreadPoolExecutor(together) as players:
        all_here = threading.Barrier(together)

        def play_one(profile: str) -> None:
            for repeated in range(max(map(len, PROFILES.values()))):
                all_here.wait(PATIENCE)
                client.get(PROFILES[profile][repeated % len(PROFILES[profile])], headers={"X-Profile-Trace": profile})

        list(players.map(play_one, PROFILES))


def functions_in(store: Store, profile: str) -> list[str]:
    rows = store.query("SELECT symbol FROM coverage_matrix WHERE profile = {profile:String}", {"profile": profile}).rows
    return sorted(symbol for (symbol,) in rows)


def lines_in(store: Store, profile: str) -> dict[str, list[int]]:
    rows = store.query(
        "SELECT file, arraySort(groupUniqArrayArray(lines)) FROM coverage_lines "
        "WHERE profile = {profile:String} GROUP BY file",
        {"profile": profile},
    ).rows
    return {file: list(numbers) for file, numbers in rows}
