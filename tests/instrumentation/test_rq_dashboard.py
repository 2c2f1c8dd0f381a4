"""An application that nobody here wrote, held against coverage.py: rq-dashboard, from PyPI, as it is."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import pytest
import rq
from redis import Redis

from otel_coverage.collecting import Collector, Endpoint
from otel_coverage.store import Store
from tests.support.commands import clean_environment, gunicorn
from tests.support.traced import DATA

PROFILES = {
    "overview": [
        "/",
        "/0/view/workers",
        "/0/data/queues.json",
        "/0/data/workers.json",
        "/favicon.ico",
        "/7/view/queues",  # an index out of range: an exception in before_request
    ],
    "jobs": [
        "/0/view/jobs",
        "/0/view/jobs/default/failed/8/asc/1",
        "/0/data/jobs/default/queued/2/asc/1.json",
        "/0/data/jobs/default/queued/2/dsc/2.json",
        "/0/data/jobs/default/failed/8/asc/1.json",
        "/0/view/job/waits",
        "/0/data/job/waits.json",
        "/0/data/job/fails.json",
        "/0/data/job/no-such-job.json",  # an exception in the view
    ],
}


@pytest.fixture
def redis_with_jobs(redis: Redis, redis_url: str) -> str:
    """A Redis with jobs of several states, and a worker that was there."""
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


def test_what_clickhouse_holds_of_each_profile_equals_what_coverage_finds(
    second_opinion: dict[str, Any], redis_with_jobs: str, store: Store
) -> None:
    with Collector(Endpoint.parse("127.0.0.1:0")) as collector:
        collector.start(store)
        play_both_at_once(redis_with_jobs, f"http://{collector.endpoints['OTLP/gRPC']}")
    for profile, expected in second_opinion.items():
        assert functions_in(store, profile) == expected["functions"], profile
        assert lines_in(store, profile) == expected["lines"], profile
    assert store.query("SELECT count() FROM coverage_spans WHERE NOT complete").rows == [(0,)]


def test_the_second_opinion_tells_the_profiles_apart(second_opinion: dict[str, Any]) -> None:
    overview, jobs = (
        {symbol.rpartition("@")[0].removeprefix("rq_dashboard.web:") for symbol in second_opinion[profile]["functions"]}
        for profile in ("overview", "jobs")
    )
    assert {"jsonify.<locals>._wrapped", "push_rq_connection", "inject_interval"} <= overview & jobs
    assert {"queues_overview", "list_workers.<locals>.serialize_queue_names", "favicon"} <= overview - jobs
    assert {"job_info", "serialize_job", "pagination_window"} <= jobs - overview


def play_both_at_once(redis_url: str, endpoint: str) -> None:
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": "rq_dashboard",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_SERVICE_NAME": "dashboard",
        "REDIS_URL": redis_url,
    }
    options = ["--threads", "8", "--pythonpath", str(DATA / "dashboard")]
    with gunicorn("served_dashboard:app", *options, **environment) as client:
        both_here = threading.Barrier(len(PROFILES))

        def play(profile: str) -> None:
            both_here.wait(30)
            for path in PROFILES[profile]:
                client.get(path, headers={"X-Profile-Trace": profile})

        threads = [threading.Thread(target=play, args=(profile,)) for profile in PROFILES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


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
