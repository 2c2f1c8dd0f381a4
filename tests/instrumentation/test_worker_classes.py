"""Classes of workers with methods of their own: what of them belongs to the job, and what to the worker."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import rq
from redis import Redis
from rq.command import send_stop_job_command
from rq.job import Job

from tests.support.collector import Collector
from tests.support.commands import PATIENCE, RUN, call, running, wait_until, wait_until_sent
from tests.support.traced import Spans
from tests.support.workers import JOBS, SHIPPED, consumers, recording, traced, work

pytestmark = pytest.mark.usefixtures("enqueuing")

WORKERS = "store_front.workers:"
AROUND = {WORKERS + name for name in ("enter", "leave")}


def of(worker: str, *methods: str) -> set[str]:
    return {f"{WORKERS}{worker}.{method}" for method in methods}


IN_WORK_HORSE = of("Supervisor", "main_work_horse", "perform_job") | AROUND | {WORKERS + "settle_in"}
SUCCEEDED = IN_WORK_HORSE | of("Supervisor", "handle_job_success") | {WORKERS + "tell"}
FAILED = IN_WORK_HORSE | of("Supervisor", "handle_job_failure", "handle_exception") | {WORKERS + "tell"}
IN_PARENT = of("Supervisor", "__init__", "execute_job", "fork_work_horse", "monitor_work_horse") | {
    WORKERS + name for name in ("supervise", "adopt_orphans", "look_for_leftovers")
}
SIMPLE = of("Simple", "perform_job") | AROUND


def work_as(url: str, worker: str, *options: str) -> list[str]:
    """The command of a worker of that class of the store front's."""
    return work(url, "--worker-class", f"store_front.workers.{worker}", *options)


@pytest.mark.row("worker class of the application's, started by")
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["worker", "--burst"], id="rq worker --burst"),
        pytest.param(["worker", "--max-jobs", "3"], id="rq worker --max-jobs"),
        pytest.param(["worker-pool", "--burst", "--num-workers", "2"], id="rq worker-pool"),
    ],
)
def test_what_runs_in_the_work_horse_is_the_jobs_and_what_runs_in_the_worker_is_not(
    options: list[str], collector: Collector, redis: Redis, redis_url: str, spans: Spans, tmp_path: Path
) -> None:
    queue = rq.Queue(connection=redis)
    remained = tmp_path / "remained"
    with traced(spans):
        good = queue.enqueue("store_front.jobs.ship", 3, meta={"profile_trace_slug": "theirs"})
        queue.enqueue("store_front.jobs.fail")
    queue.enqueue("store_front.jobs.ship", 4)
    done = call(
        [*RUN, "rq", *options, "--worker-class", "store_front.workers.Supervisor", "--url", redis_url],
        **recording(collector, REMAINED=str(remained)),
    )
    assert done.returncode == 0, done.stderr
    arrived = collector.wait_for(lambda spans: len(consumers(spans)) == 2)
    jobs = {str(span.attributes["messaging.rq.function"]).rpartition(".")[2]: span for span in consumers(arrived)}
    assert {name: span.functions for name, span in jobs.items()} == {
        "ship": SUCCEEDED | SHIPPED,
        "fail": FAILED | {JOBS + "fail"},
    }
    assert {span.attributes["coverage.complete"] for span in jobs.values()} == {True}
    assert {name: (span.status, span.events) for name, span in jobs.items()} == {
        "ship": ("UNSET", ()),
        "fail": ("ERROR", ("exception",)),
    }
    inside = {span.parent_id for span in arrived if span.name == "entered"}
    assert {span.span_id for span in jobs.values()} <= inside
    assert Job.fetch(good.id, connection=redis).meta["profile_trace_slug"] == "theirs"
    assert not remained.exists(), remained.read_text()


@pytest.mark.row("worker class of the application's")
@pytest.mark.parametrize(
    ("worker", "expected"),
    [
        pytest.param(
            "WithoutSuper",
            of("WithoutSuper", "main_work_horse", "setup_work_horse_signals", "perform_job")
            | AROUND
            | {WORKERS + "settle_in"},
            id="without super()",
        ),
        pytest.param("Signals", of("Signals", "setup_work_horse_signals") | {WORKERS + "settle_in"}, id="signals"),
        pytest.param("Simple", SIMPLE, id="SimpleWorker"),
        pytest.param(
            "Derived", SIMPLE | of("Derived", "perform_job") | {WORKERS + "settle_in"}, id="class of a class of its own"
        ),
        pytest.param(
            "Spawn",
            of("Spawn", "perform_job") | {WORKERS + "enter"},
            id="SpawnWorker",
            marks=pytest.mark.since_rq(3),
        ),
    ],
)
def test_a_class_of_workers_is_recorded_from_its_own_methods(
    worker: str, expected: set[str], collector: Collector, redis: Redis, redis_url: str, spans: Spans
) -> None:
    with traced(spans):
        rq.Queue(connection=redis).enqueue("store_front.jobs.ship", 3)
    done = call(work_as(redis_url, worker, "--burst", "--max-jobs", "1"), **recording(collector))
    assert done.returncode == 0, done.stderr
    (job,) = consumers(collector.wait_for(consumers))
    assert job.functions == expected | SHIPPED
    assert job.attributes["coverage.complete"] is True


@pytest.mark.row("worker class of the application's", "exception handler")
def test_exception_handlers_belong_to_the_job_that_failed(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans
) -> None:
    with traced(spans):
        rq.Queue(connection=redis).enqueue("store_front.jobs.fail")
    handler = ["--exception-handler", "store_front.workers.note_failure"]
    call(work_as(redis_url, "Supervisor", "--burst", *handler), **recording(collector))
    (job,) = consumers(collector.wait_for(consumers))
    assert job.functions == FAILED | {JOBS + "fail", WORKERS + "note_failure"}


@pytest.mark.row("worker class of the application's", "exception after the job")
def test_an_exception_of_the_class_itself_is_on_the_span_of_its_job(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans
) -> None:
    with traced(spans):
        rq.Queue(connection=redis).enqueue("store_front.jobs.ship", 3)
    call(work_as(redis_url, "Broken", "--burst"), **recording(collector))
    (job,) = consumers(collector.wait_for(consumers))
    assert job.functions == SHIPPED | of("Broken", "perform_job") | {WORKERS + "fail_late"}
    assert (job.status, job.events) == ("ERROR", ("exception",))


@pytest.mark.row("worker class of the application's", "traced worker")
def test_what_a_traced_worker_does_around_a_job_belongs_to_the_workers_profile(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans
) -> None:
    with traced(spans):
        rq.Queue(connection=redis).enqueue("store_front.jobs.ship", 3)
    call(work_as(redis_url, "Supervisor", "--burst"), **recording(collector, BAGGAGE="playback.profile=nightly"))
    (job,) = consumers(collector.wait_for(consumers))
    (process,) = collector.wait_for_roles("process")
    assert [span.attributes["playback.profile"] for span in (job, process)] == ["checkout", "nightly"]
    assert job.functions == SUCCEEDED | SHIPPED
    assert process.functions == IN_PARENT
    assert process.attributes["coverage.complete"] is True


@pytest.mark.row("worker class of the application's", "start of the worker")
@pytest.mark.parametrize(
    ("worker", "at_start"),
    [
        pytest.param("Supervisor", of("Supervisor", "__init__"), id="Supervisor"),
        pytest.param("Simple", set(), id="Simple"),
    ],
)
def test_what_a_worker_does_around_its_first_job_is_no_part_of_its_start(
    worker: str, at_start: set[str], collector: Collector, redis: Redis, redis_url: str, spans: Spans
) -> None:
    with traced(spans):
        rq.Queue(connection=redis).enqueue("store_front.jobs.ship", 3)
    call(work_as(redis_url, worker, "--burst"), **recording(collector, OTEL_COVERAGE_STARTUP="1"))
    collector.wait_for(consumers)
    wait_until_sent()
    assert {name for span in collector.spans if span.role == "startup" for name in span.functions} == at_start


@pytest.mark.row("worker class of the application's", "stopped job")
def test_what_kills_the_work_horse_of_a_stopped_job_is_not_the_jobs(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    with traced(spans):
        job = rq.Queue(connection=redis).enqueue(
            "store_front.jobs.last", on_stopped=rq.Callback("store_front.jobs.stopped")
        )
    with running(work_as(redis_url, "Supervisor"), **recording(collector, STARTED=str(started))):
        wait_until(started.exists)
        send_stop_job_command(redis, job.id)
        (span,) = consumers(collector.wait_for(consumers))
    assert span.functions == {JOBS + "stopped", JOBS + "mark"}
    assert span.attributes["coverage.incomplete_reason"] == "job_stopped"


@pytest.mark.row("worker class of the application's", "cancelled by a signal")
def test_a_job_that_a_signal_handler_of_the_worker_cancels_is_recorded_until_then(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    with traced(spans):
        job = rq.Queue(connection=redis).enqueue("store_front.jobs.last")
    with running(work_as(redis_url, "Supervisor"), **recording(collector, STARTED=str(started))):
        wait_until(started.exists)
        os.kill(Job.fetch(job.id, connection=redis).meta["pid"], signal.SIGUSR1)
        (span,) = consumers(collector.wait_for(consumers))
    assert span.functions == FAILED | of("Supervisor", "cancel") | {JOBS + "last", JOBS + "endless"}
    assert (span.status, span.events) == ("ERROR", ("exception",))
    assert span.attributes["coverage.complete"] is True


@pytest.mark.row("worker class of the application's", "HerokuWorker that is shut down")
def test_a_job_that_ends_because_its_worker_is_shut_down_is_recorded_until_then(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    with traced(spans):
        rq.Queue(connection=redis).enqueue("store_front.jobs.last")
    with running(work_as(redis_url, "Heroku"), **recording(collector, STARTED=str(started))) as worker:
        wait_until(started.exists)
        worker.send_signal(signal.SIGTERM)
        worker.wait(PATIENCE)
        (span,) = consumers(collector.wait_for(consumers))
    assert span.functions == of("Heroku", "perform_job") | AROUND | {JOBS + "last", JOBS + "endless"}
    assert (span.status, span.events) == ("ERROR", ("exception",))


@pytest.mark.row("worker class of the application's", "killed, retried, and what depends on it")
def test_each_attempt_answers_its_own_call_and_what_waited_for_the_job_belongs_to_its_profile(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans, tmp_path: Path
) -> None:
    queue = rq.Queue(connection=redis)
    with traced(spans):
        first = queue.enqueue("store_front.jobs.die_once", retry=rq.Retry(max=1))
        queue.enqueue("store_front.jobs.label", 4, depends_on=first)
    call(work_as(redis_url, "Supervisor", "--burst"), **recording(collector, STARTED=str(tmp_path / "died")))
    collector.wait_for(lambda spans: len(consumers(spans)) == 2)
    wait_until_sent()  # what the worker did between the two
    arrived = collector.spans
    died, waited = sorted(consumers(arrived), key=lambda span: JOBS + "label" in span.functions and len(span.functions))
    assert waited.functions | died.functions == SUCCEEDED | {JOBS + "die_once", JOBS + "label"}
    producers = {span.span_id: span.parent_id for span in arrived if span.role == "producer"}
    assert len(producers) == 2  # of the retry, and of the job that waited
    assert {span.parent_id for span in consumers(arrived)} == set(producers)
    here = {
        f"{span.context.span_id:016x}"
        for role in ("producer", "pending")
        for span in spans.with_role(role)
        if span.context
    }
    assert set(producers.values()) == here
