"""Every kind of worker, started as its users start it, on a real Redis: whose job was it, and what did it execute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rq
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from redis import Redis
from rq.command import send_stop_job_command
from rq.decorators import job as rq_job
from rq.version import VERSION

import otel_coverage
from otel_coverage.settings import Settings
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.playback import Playback
from tests.support.collector import Collector, ReceivedSpan
from tests.support.commands import PATIENCE, PLAIN, RUN, call, running
from tests.support.traced import STORE_FRONT, Spans

JOBS, MEETING, GOODS = "store_front.jobs:", "store_front.meeting:", "store_front.goods:"
MET = {MEETING + "meet", MEETING + "arrive", MEETING + "await_all"}
EXPECTED = {
    "looking": MET | {JOBS + "look", MEETING + "look", GOODS + "names"},
    "asking": MET | {JOBS + "ask", MEETING + "ask", GOODS + "price"},
}
SHIPPED = {JOBS + "ship", JOBS + "label"}

# before RQ 3 a SpawnWorker writes its connection into a program, which current clients of Redis do not survive
WORKERS = ["rq.Worker", "rq.SimpleWorker", "rq.worker.HerokuWorker"]
WORKERS += ["rq.SpawnWorker"] * (int(VERSION.split(".")[0]) >= 3)
TEAMS = [
    *(pytest.param([worker] * 2, RUN, id=f"{worker}-otel-coverage run") for worker in WORKERS),
    pytest.param(["pool"], RUN, id="pool-otel-coverage run"),
    pytest.param(["rq.Worker"] * 2, PLAIN, id="rq.Worker-opentelemetry-instrument"),
    pytest.param(["pool"], PLAIN, id="pool-opentelemetry-instrument"),
]


@pytest.fixture(autouse=True)
def enqueuing(spans: Spans, store_front: None) -> None:
    """This process enqueues; it is not the one that performs."""
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT])


@contextmanager
def traced(spans: Spans, profile: str = "checkout") -> Iterator[None]:
    token = otel_context.attach(with_playback(Context(), Playback(profile, "run-1"), Settings()))
    with spans.provider.get_tracer("t").start_as_current_span("work"):
        yield
    otel_context.detach(token)


def recording(collector: Collector, **environment: str) -> dict[str, str]:
    return {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        **environment,
    }


def work(url: str, *options: str, run: Sequence[str] = RUN) -> list[str]:
    return [*run, "rq", "worker", "--url", url, *options]


def consumers(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
    return [span for span in spans if span.role == "consumer"]


def wait_until(happened: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "still not"
        time.sleep(0.02)


@pytest.mark.parametrize(("workers", "run"), TEAMS)
def test_jobs_of_two_profiles_in_one_helper_at_once_get_each_their_own(
    workers: list[str],
    run: Sequence[str],
    slow_collector: Collector,
    redis: Redis,
    redis_url: str,
    spans: Spans,
    tmp_path: Path,
) -> None:
    queue = rq.Queue(connection=redis)
    for profile, job in (("looking", "look"), ("asking", "ask")):
        with traced(spans, profile):
            queue.enqueue(f"store_front.jobs.{job}")
    environment = recording(slow_collector, MEETING=str(tmp_path))
    with ExitStack() as stack:
        for worker in workers:
            command = (
                [*run, "rq", "worker-pool", "--num-workers", "2", "--url", redis_url]
                if worker == "pool"
                else work(redis_url, "--worker-class", worker, run=run)
            )
            stack.enter_context(running(command, **environment))
        arrived = consumers(slow_collector.wait_for(lambda spans: len(consumers(spans)) == 2))
    assert {span.attributes["playback.profile"]: span.functions for span in arrived} == EXPECTED
    assert all(span.attributes["coverage.complete"] for span in arrived)
    producers = {f"{span.context.span_id:016x}" for span in spans.with_role("producer") if span.context}
    assert {span.parent_id for span in arrived} == producers


def test_a_job_that_is_stopped_has_its_callback_recorded_and_is_incomplete(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    with traced(spans):
        job = rq.Queue(connection=redis).enqueue(
            "store_front.jobs.last", on_stopped=rq.Callback("store_front.jobs.stopped")
        )
    with running(work(redis_url), **recording(collector, STARTED=str(started))):
        wait_until(started.exists)
        send_stop_job_command(redis, job.id)
        (span,) = consumers(collector.wait_for(consumers))
    assert span.functions == {JOBS + "stopped", JOBS + "mark"}
    assert span.attributes["coverage.complete"] is False
    assert "was stopped" in span.attributes["coverage.incomplete_detail"]


def test_a_job_whose_thread_dies_with_its_process_is_incomplete(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans, tmp_path: Path
) -> None:
    with traced(spans):
        rq.Queue(connection=redis).enqueue("store_front.jobs.leave_behind")
    call(work(redis_url, "--burst"), **recording(collector, STARTED=str(tmp_path / "started")))
    arrived = [span for span in collector.spans if span.role in ("consumer", "part")]
    assert {name for span in arrived for name in span.functions} >= {JOBS + "leave_behind", JOBS + "last"}
    (reason,) = {str(span.attributes.get("coverage.incomplete_detail")) for span in arrived} - {"None"}
    assert "a thread that it started was still running" in reason


def test_a_job_that_times_out_is_recorded_until_then(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans, tmp_path: Path
) -> None:
    with traced(spans):
        rq.Queue(connection=redis).enqueue(
            "store_front.jobs.last", job_timeout=1, on_failure=rq.Callback("store_front.jobs.failed")
        )
    call(work(redis_url, "--burst"), **recording(collector, STARTED=str(tmp_path / "started")))
    (span,) = consumers(collector.spans)
    assert span.functions == {JOBS + "last", JOBS + "endless", JOBS + "failed"}
    assert (span.status, span.events) == ("ERROR", ("exception",))
    assert span.attributes["coverage.complete"] is True


def test_jobs_that_a_scheduler_enqueues_belong_to_whoever_scheduled_them(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans
) -> None:
    queue = rq.Queue(connection=redis)
    with traced(spans):
        queue.enqueue_in(timedelta(seconds=1), "store_front.jobs.ship", 3)
        queue.enqueue("store_front.jobs.fail", retry=rq.Retry(max=1, interval=1))
        if hasattr(rq, "Repeat"):
            queue.enqueue("store_front.jobs.label", 3, repeat=rq.Repeat(times=1, interval=1))
    expected = [SHIPPED, {JOBS + "fail"}, {JOBS + "fail"}] + [{JOBS + "label"}] * 2 * hasattr(rq, "Repeat")
    with running(work(redis_url, "--with-scheduler"), **recording(collector)):
        arrived = consumers(collector.wait_for(lambda spans: len(consumers(spans)) >= len(expected)))
    assert sorted((span.functions for span in arrived), key=sorted) == sorted(expected, key=sorted)
    assert {span.attributes["playback.profile"] for span in arrived} == {"checkout"}
    producers = {f"{span.context.span_id:016x}" for span in spans.with_role("producer") if span.context}
    assert {span.parent_id for span in arrived} == producers


def test_the_decorator_and_callbacks_and_jobs_that_wait_belong_to_their_profile(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans
) -> None:
    from store_front import jobs  # type: ignore[import-not-found]

    queue = rq.Queue(connection=redis)
    decorated = rq_job(queue, connection=redis, on_success=rq.Callback(jobs.succeeded))(jobs.ship)
    with traced(spans, "looking"):
        first = decorated.delay(3)
    with traced(spans, "asking"):
        queue.enqueue(jobs.label, 3, depends_on=first)
        queue.enqueue_many([rq.Queue.prepare_data(jobs.label, (4,)), rq.Queue.prepare_data(jobs.ship, (5,))])
    queue.enqueue(jobs.ship, 6)
    call(work(redis_url, "--burst"), **recording(collector))
    arrived = consumers(collector.spans)
    by_profile = {
        profile: sorted((s.functions for s in arrived if s.attributes["playback.profile"] == profile), key=sorted)
        for profile in ("looking", "asking")
    }
    assert by_profile == {
        "looking": [SHIPPED | {JOBS + "succeeded"}],
        "asking": [{JOBS + "label"}, {JOBS + "label"}, SHIPPED],
    }


def test_rq_scheduler_makes_jobs_for_whoever_asked(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans
) -> None:
    from rq_scheduler import Scheduler  # type: ignore[import-untyped]

    scheduler = Scheduler(connection=redis)
    with traced(spans):
        scheduler.enqueue_in(timedelta(seconds=0), "store_front.jobs.ship", 3)
    scheduler.enqueue_jobs()  # as its own process does, again and again
    call(work(redis_url, "--burst"), **recording(collector))
    (span,) = consumers(collector.spans)
    assert span.functions == SHIPPED
    assert span.attributes["playback.profile"] == "checkout"
