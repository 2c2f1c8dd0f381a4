"""A job whose process is killed: what it had told by then is kept, and its run says that the job is missing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from redis import Redis

from otel_coverage.collecting import Collector, Endpoint
from otel_coverage.store import Store
from tests.support.commands import PATIENCE, RUN, call, running
from tests.support.traced import STORE_FRONT

ENQUEUE = """
import os, redis, rq
rq.Queue(connection=redis.Redis.from_url(os.environ["REDIS_URL"])).enqueue("store_front.jobs.last")
"""


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "still not"
        time.sleep(0.05)


def test_a_job_that_is_killed_leaves_what_it_told_and_an_incomplete_run(
    redis: Redis, redis_url: str, store: Store, tmp_path: Path
) -> None:
    started = tmp_path / "started"

    def functions() -> set[str]:
        return {str(name) for (name,) in store.query("SELECT qualname FROM coverage_functions").rows}

    with Collector(Endpoint.parse("127.0.0.1:0")) as collector:
        collector.start(store)
        recording = {
            "OTEL_COVERAGE_ENABLED": "1",
            "OTEL_COVERAGE_SOURCE": STORE_FRONT,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.endpoints['OTLP/gRPC']}",
            "REDIS_URL": redis_url,
            "STARTED": str(started),
        }
        asked = call(
            [*RUN, "python", "-c", ENQUEUE], **recording, BAGGAGE="playback.profile=nightly,playback.run_id=r1"
        )
        assert asked.returncode == 0, asked.stderr
        worker = [*RUN, "rq", "worker", "--worker-class", "impatient.Worker", "--url", redis_url]
        with running(worker, **recording):
            wait_until(lambda: {"last", "endless"} <= functions())
            os.kill(int(started.read_text()), signal.SIGKILL)
            wait_until(lambda: redis.zcard("rq:failed:default"))
    (job,) = store.query(
        "SELECT arrived, complete FROM run_completeness WHERE profile = 'nightly' AND kind = 'job'"
    ).rows
    assert job == (False, False)
    (run,) = store.query("SELECT complete, incomplete_reasons FROM profile_runs WHERE profile = 'nightly'").rows
    assert run[0] is False
    assert run[1]
    assert functions() == {"last", "endless"}
