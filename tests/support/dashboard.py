"""rq-dashboard, unchanged from PyPI, its requests, and what coverage.py finds of them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import rq
from redis import Redis

from tests.support.commands import PATIENCE, clean_environment, gunicorn
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
REQUESTS = max(map(len, PROFILES.values()))  # of each profile: shorter ones begin again


def fill(redis_url: str) -> None:
    """Put jobs in several states and a registered worker into an empty Redis."""
    with Redis.from_url(redis_url) as redis:
        queue = rq.Queue(connection=redis)
        queue.enqueue("math.sqrt", -1, job_id="fails")
        worker = rq.SimpleWorker([queue], connection=redis, name="somebody")
        worker.work(burst=True)
        for number in range(3):
            queue.enqueue("math.sqrt", number)
        queue.enqueue("math.sqrt", 4, job_id="waits", depends_on=queue.enqueue("math.sqrt", 9))
        worker.register_birth()  # type: ignore[no-untyped-call]


def second_opinion(redis_url: str) -> dict[str, Any]:
    """What coverage.py finds, profile by profile, in a process without anything of ours."""
    done = subprocess.run(
        [sys.executable, "second_opinion.py"],
        input=json.dumps(PROFILES),
        cwd=DATA / "dashboard",
        env=clean_environment(REDIS_URL=redis_url, COVERAGE_CORE="ctrace"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def play(server: Sequence[str], together: int, redis_url: str, endpoint: str, **environment: str) -> None:
    """Play all profiles, ``together`` of them at a time; each request waits until the others are ready, too."""
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": "rq_dashboard",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_SERVICE_NAME": "dashboard",
        "REDIS_URL": redis_url,
        **environment,
    }
    options = [*server, "--pythonpath", str(DATA / "dashboard")]
    with gunicorn("served_dashboard:app", *options, **environment) as client, ThreadPoolExecutor(together) as players:
        all_here = threading.Barrier(together)

        def play_one(profile: str) -> None:
            for repeated in range(REQUESTS):
                all_here.wait(PATIENCE)
                client.get(PROFILES[profile][repeated % len(PROFILES[profile])], headers={"X-Profile-Trace": profile})

        list(players.map(play_one, PROFILES))
