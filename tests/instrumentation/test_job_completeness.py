"""What the store says of jobs that workers in processes of their own perform, or never do."""

from __future__ import annotations

import importlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from redis import Redis

from otel_coverage.collecting import Collector, Endpoint
from otel_coverage.store import Store
from tests.support.commands import BIN, RUN, call, wait_until, wait_until_sent
from tests.support.traced import DATA, STORE_FRONT

# jobs that arrived, missing, pending, complete; each way to deal with a queue is itself a recorded job
NOTHING_ELSE = (1, 0, 0, True)
EXPECTED = {
    "enqueued": (2, 0, 0, True),
    "enqueued_elsewhere": (1, 1, 0, False),
    "only_made": NOTHING_ELSE,
    "pipeline_executed": (3, 0, 0, True),
    "pipeline_discarded": NOTHING_ELSE,
    "pipeline_failed": NOTHING_ELSE,
    "refused_by_redis": NOTHING_ELSE,
    "refused_as_a_duplicate": (2, 0, 0, True),
    "cancelled": NOTHING_ELSE,
    "cancelled_in_a_pipeline": NOTHING_ELSE,
    "cancelled_in_a_pipeline_that_is_discarded": (1, 1, 0, False),
    "deleted": NOTHING_ELSE,
    "cancelled_and_deleted_by_id": NOTHING_ELSE,
    "emptied": NOTHING_ELSE,
    "scheduled": (1, 0, 1, True),
    "scheduled_and_deleted": NOTHING_ELSE,
    "scheduled_and_enqueued": (2, 0, 0, True),
    "released": (4, 0, 0, True),
    "never_released": (2, 0, 1, True),
    "deleted_when_it_had_run": (2, 0, 0, True),
    "performed_at_once": (2, 0, 0, True),
    "limited": (4, 0, 0, True),
    "limited_and_cancelled": NOTHING_ELSE,
}


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DATA))
    return importlib.import_module("queueing")


@pytest.fixture
def collector(store: Store) -> Iterator[Collector]:
    with Collector(Endpoint.parse("127.0.0.1:0")) as collector:
        collector.start(store)
        yield collector


@pytest.fixture
def recording(collector: Collector, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a recorded process whose spans go into the store."""
    return {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.endpoints['OTLP/gRPC']}",
        "REDIS_URL": redis_url,
        "STARTED": str(tmp_path / "started"),
    }


def run(*command: str, **environment: str) -> None:
    done = call(command, **environment)
    assert done.returncode == 0, done.stderr


def work(recording: dict[str, str], collector: Collector) -> None:
    run(*RUN, "rq", "worker", "--burst", "--url", recording["REDIS_URL"], **recording)
    wait_until_sent()
    assert collector.receiver.wait() == 0


@pytest.mark.row("RQ completeness", "queued, discarded, refused, cancelled, scheduled, deferred")
def test_what_rightly_never_runs_is_not_missing_and_what_waits_is_pending(
    ways: ModuleType, recording: dict[str, str], collector: Collector, redis: Redis, store: Store
) -> None:
    run(*RUN, "python", "queueing.py", **recording)
    work(recording, collector)
    found = store.query("SELECT profile, jobs, missing, pending, complete FROM profile_runs").rows
    assert {profile: row for profile, *row in found} == {
        way.__name__: list(EXPECTED[way.__name__]) for way in ways.WAYS
    }


ENQUEUE = """
import os, redis, rq
rq.Queue(connection=redis.Redis.from_url(os.environ["REDIS_URL"])).enqueue("store_front.jobs.die_once", retry=%s)
"""


@pytest.mark.row("RQ completeness")
@pytest.mark.parametrize(
    "again", ["rq.Retry(max=1)", "None"], ids=["killed and retried", "killed and requeued by an untraced command"]
)
def test_an_attempt_that_was_killed_is_missing_though_the_next_one_succeeds(
    again: str, recording: dict[str, str], collector: Collector, redis: Redis, store: Store
) -> None:
    run(*RUN, "python", "-c", ENQUEUE % again, **recording, BAGGAGE="playback.profile=nightly,playback.run_id=r1")
    work(recording, collector)
    if again == "None":
        run(str(BIN / "rq"), "requeue", "--all", "--queue", "default", "--url", recording["REDIS_URL"])
        work(recording, collector)
    jobs = "SELECT arrived, complete FROM run_completeness WHERE kind = 'job' ORDER BY started"
    assert store.query(jobs).rows == [(False, False), (True, True)]
    # what it had begun is sent by the spool's sender, once that finds it dead
    runs = "SELECT complete, incomplete_reasons FROM profile_runs"
    wait_until(lambda: collector.receiver.wait() == 0 and store.query(runs).rows == [(False, ["killed"])])
    functions = store.query("SELECT qualname FROM coverage_functions GROUP BY qualname ORDER BY qualname").rows
    assert functions == [("die_once",), ("label",)]


# what a worker's maintenance does when the time of a job has passed
ABANDON = """
import os, redis, rq, rq.registry
connection = redis.Redis.from_url(os.environ["REDIS_URL"])
rq.registry.StartedJobRegistry("default", connection=connection).cleanup(timestamp=2**40)
"""


@pytest.mark.row("RQ completeness")
@pytest.mark.parametrize(
    "maintenance",
    [(*RUN, "python"), (str(BIN / "python"),)],
    ids=["killed with its worker and retried", "killed with its worker and retried by an untraced one"],
)
def test_an_attempt_whose_worker_was_killed_is_missing_though_another_worker_tries_again(
    maintenance: tuple[str, ...], recording: dict[str, str], collector: Collector, redis: Redis, store: Store
) -> None:
    enqueue = ENQUEUE.replace("die_once", "die_once_with_its_worker") % "rq.Retry(max=1)"
    run(*RUN, "python", "-c", enqueue, **recording, BAGGAGE="playback.profile=nightly,playback.run_id=r1")
    killed = call((*RUN, "rq", "worker", "--burst", "--url", recording["REDIS_URL"]), **recording)
    assert killed.returncode == -signal.SIGKILL
    run(*maintenance, "-c", ABANDON, **recording)
    work(recording, collector)
    jobs = "SELECT arrived, complete FROM run_completeness WHERE kind = 'job' ORDER BY started"
    assert store.query(jobs).rows == [(False, False), (True, True)]
    assert store.query("SELECT complete FROM profile_runs").rows == [(False,)]
