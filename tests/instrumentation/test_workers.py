"""Every kind of worker, started as its users start it, on a real Redis: jobs, their profiles and what they executed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rq
from redis import Redis
from rq.command import send_stop_job_command
from rq.decorators import job as rq_job

import otel_coverage
from otel_coverage.collecting import Collector as OurCollector
from otel_coverage.collecting import Endpoint
from otel_coverage.store import Store
from tests.support.collector import Collector
from tests.support.commands import PATIENCE, PLAIN, RUN, call, running, wait_until, wait_until_sent
from tests.support.traced import STORE_FRONT, Spans, functions
from tests.support.workers import JOBS, SHIPPED, consumers, recording, traced, work

pytestmark = pytest.mark.usefixtures("enqueuing")

MEETING, GOODS = "store_front.meeting:", "store_front.goods:"
MET = {MEETING + "meet", MEETING + "arrive", MEETING + "await_all"}
EXPECTED = {
    "looking": MET | {JOBS + "look", MEETING + "look", GOODS + "names"},
    "asking": MET | {JOBS + "ask", MEETING + "ask", GOODS + "price"},
}
CALLS = ("producer", "pending")

# before RQ 3 a SpawnWorker writes its connection into a program in a way that current clients of Redis break
SPAWN_WORKER = pytest.mark.since_rq(3)
TEAMS = [
    *(pytest.param([f"rq.{worker}"] * 2, RUN, id=worker) for worker in ("Worker", "SimpleWorker")),
    pytest.param(["rq.worker.HerokuWorker"] * 2, RUN, id="HerokuWorker"),
    pytest.param(["rq.SpawnWorker"] * 2, RUN, id="SpawnWorker", marks=SPAWN_WORKER),
    pytest.param(["pool"], RUN, id="worker-pool"),
    pytest.param(["rq.Worker"] * 2, PLAIN, id="Worker by opentelemetry-instrument"),
    pytest.param(["pool"], PLAIN, id="worker-pool by opentelemetry-instrument"),
]


@pytest.mark.row("RQ worker")
@pytest.mark.parametrize(("workers", "run"), TEAMS)
def test_jobs_of_two_profiles_inside_one_function_at_once_are_recorded_apart(
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


@pytest.mark.row("RQ worker", "inside a traced process")
@pytest.mark.parametrize("worker", ["Worker", pytest.param("SpawnWorker", marks=SPAWN_WORKER)])
def test_a_worker_that_is_traced_itself_is_not_incomplete_for_its_work_horses(
    worker: str, collector: Collector, redis: Redis, redis_url: str, spans: Spans
) -> None:
    with traced(spans):
        rq.Queue(connection=redis).enqueue("store_front.jobs.ship", 3)
    environment = recording(collector, BAGGAGE="playback.profile=nightly")
    call(work(redis_url, "--burst", "--worker-class", f"rq.{worker}"), **environment)
    (job,) = consumers(collector.wait_for(consumers))
    assert job.functions == SHIPPED
    assert job.attributes["playback.profile"] == "checkout"
    processes = collector.wait_for_roles("process")
    assert processes
    assert {span.attributes["coverage.complete"] for span in processes} == {True}


@pytest.mark.row("RQ worker", "stopped job")
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


@pytest.mark.row("RQ worker", "thread that ends with its job")
def test_a_job_whose_thread_dies_with_its_process_is_incomplete(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans, tmp_path: Path
) -> None:
    with traced(spans):
        rq.Queue(connection=redis).enqueue("store_front.jobs.leave_behind")
    call(work(redis_url, "--burst"), **recording(collector, STARTED=str(tmp_path / "started")))
    arrived = collector.wait_for(lambda spans: any("coverage.incomplete_detail" in span.attributes for span in spans))
    arrived = [span for span in arrived if span.role in ("consumer", "part")]
    assert {name for span in arrived for name in span.functions} >= {JOBS + "leave_behind", JOBS + "last"}
    (reason,) = {str(span.attributes.get("coverage.incomplete_detail")) for span in arrived} - {"None"}
    assert "a thread that it started was still running" in reason


@pytest.mark.row("RQ worker", "timeout")
def test_a_job_that_times_out_is_recorded_until_then(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans, tmp_path: Path
) -> None:
    with traced(spans):
        rq.Queue(connection=redis).enqueue(
            "store_front.jobs.last", job_timeout=3, on_failure=rq.Callback("store_front.jobs.failed")
        )
    call(work(redis_url, "--burst"), **recording(collector, STARTED=str(tmp_path / "started")))
    (span,) = consumers(collector.wait_for(consumers))
    assert span.functions == {JOBS + "last", JOBS + "endless", JOBS + "failed"}
    assert (span.status, span.events) == ("ERROR", ("exception",))
    assert span.attributes["coverage.complete"] is True


@pytest.mark.row("RQ worker", "scheduler")
def test_jobs_that_a_scheduler_enqueues_belong_to_the_context_that_scheduled_them(
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
    wait_until_sent()  # what its scheduler did
    assert sorted((span.functions for span in arrived), key=sorted) == sorted(expected, key=sorted)
    assert {span.attributes["playback.profile"] for span in arrived} == {"checkout"}
    here = {role: {f"{span.context.span_id:016x}" for span in spans.with_role(role) if span.context} for role in CALLS}
    there = {role: {span.span_id: span.parent_id for span in collector.spans if span.role == role} for role in CALLS}
    assert sorted(span.parent_id for span in arrived) == sorted([*here["producer"], *there["producer"]])
    released = set(there["producer"].values())
    assert released == here["pending"] | set(there["pending"])
    assert set(there["pending"].values()) <= here["producer"]


@pytest.mark.row("RQ worker", "decorator, callbacks and dependencies")
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
    arrived = consumers(collector.wait_for(lambda spans: len(consumers(spans)) >= 4))
    by_profile = {
        profile: sorted((s.functions for s in arrived if s.attributes["playback.profile"] == profile), key=sorted)
        for profile in ("looking", "asking")
    }
    assert by_profile == {
        "looking": [SHIPPED | {JOBS + "succeeded"}],
        "asking": [{JOBS + "label"}, {JOBS + "label"}, SHIPPED],
    }


@pytest.mark.row("RQ worker", "rq-scheduler")
def test_jobs_of_rq_scheduler_belong_to_the_context_that_scheduled_them(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans
) -> None:
    from rq_scheduler import Scheduler  # type: ignore[import-untyped]

    scheduler = Scheduler(connection=redis)
    with traced(spans):
        scheduler.enqueue_in(timedelta(seconds=0), "store_front.jobs.ship", 3)
    scheduler.enqueue_jobs()  # as its own process does, again and again
    call(work(redis_url, "--burst"), **recording(collector))
    (span,) = consumers(collector.wait_for(consumers))
    assert span.functions == SHIPPED
    assert span.attributes["playback.profile"] == "checkout"
    (released,) = spans.with_role("producer")
    assert released.context is not None
    assert released.parent is not None
    assert f"{released.context.span_id:016x}" == span.parent_id
    assert [waits.context.span_id for waits in spans.with_role("pending") if waits.context] == [released.parent.span_id]


ENQUEUE = """
import os, redis, rq
rq.Queue(connection=redis.Redis.from_url(os.environ["REDIS_URL"])).enqueue("store_front.jobs.last")
"""


@pytest.mark.row("RQ worker", "killed job")
def test_what_a_killed_job_had_written_is_kept_and_its_run_is_incomplete(
    redis: Redis, redis_url: str, store: Store, tmp_path: Path
) -> None:
    started = tmp_path / "started"

    def functions() -> set[str]:
        return {str(name) for (name,) in store.query("SELECT qualname FROM coverage_functions").rows}

    with OurCollector(Endpoint.parse("127.0.0.1:0")) as collector:
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


PREPARED = """
import sys
from otel_coverage.instrumentation.setup import install_hooks
from otel_coverage.settings import Settings
from otel_coverage.tracing import recorder
from otel_coverage.tracing.export import provider
from opentelemetry.trace import SpanKind
from otel_coverage.tracing.playback import Playback
install_hooks(Settings.load(enabled=True, source=["store_front"]))
mine = recorder.installed()
provider.prepare()
mine.prepare()
before = set(sys.modules)
with provider.configured_provider().get_tracer("test").start_as_current_span("work") as span:
    pass
entry = mine.open(Playback("checkout", "run"), SpanKind.CONSUMER)
mine.close(entry)
provider.flush(1)
print(sorted(name for name in set(sys.modules) - before if name.startswith(("grpc", "otel_coverage", "coverage"))))
"""


def test_a_work_horse_finds_all_that_it_needs_for_one_job_loaded() -> None:
    done = call(
        [sys.executable, "-c", PREPARED],
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.row("RQ worker", "subclass with a perform_job of its own")
def test_a_subclass_with_a_perform_job_of_its_own_is_recorded_from_that(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans
) -> None:
    queue = rq.Queue(connection=redis)
    with traced(spans):
        queue.enqueue("store_front.jobs.ship", 3)
    with running(
        work(redis_url, "--burst", "--worker-class", "store_front.jobs.OwnWorker"), **recording(collector)
    ) as worker:
        worker.wait(PATIENCE)
    (consumer,) = consumers(collector.wait_for(consumers))
    assert consumer.functions == {*SHIPPED, JOBS + "OwnWorker.perform_job", JOBS + "announce", GOODS + "put_back"}
    assert consumer.attributes["coverage.complete"] is True


@pytest.mark.row("RQ worker", "subclass with a perform_job of its own, made before instrument()")
def test_a_subclass_whose_worker_was_made_before_it_was_instrumented_is_incomplete(redis: Redis, spans: Spans) -> None:
    class OwnWorker(rq.SimpleWorker):
        def perform_job(self, *arguments: Any) -> bool:
            return super().perform_job(*arguments)

    otel_coverage.uninstrument()
    queue = rq.Queue(connection=redis)
    worker = OwnWorker([queue], connection=redis)
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT])
    with traced(spans):
        queue.enqueue("store_front.jobs.ship", 3)
    worker.work(burst=True)
    attributes = spans.only("consumer").attributes or {}
    assert functions(spans.only("consumer")) == SHIPPED
    assert attributes["coverage.complete"] is False
    assert attributes["coverage.incomplete_reason"] == "worker_outside"
    assert str(attributes["coverage.incomplete_detail"]).endswith("before the worker is made")
