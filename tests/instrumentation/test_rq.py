"""Jobs performed in this process, on a real Redis: the context that they carry, and what is recorded for them."""

from __future__ import annotations

import importlib
import json
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta, timezone
from types import ModuleType
from typing import Any

import pytest
import rq
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

import otel_coverage
from otel_coverage.instrumentation import propagation
from otel_coverage.instrumentation.rq.call import FIELD, Call, loads
from otel_coverage.instrumentation.setup import install_hooks
from otel_coverage.settings import Settings
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.playback import Playback, sign
from tests.support.traced import STORE_FRONT, Spans, functions

CHECKOUT = Playback("checkout", "run-1")
PACKED = {"store_front.jobs:pack", "store_front.jobs:follow_up", "store_front.goods:price"}
SHIPPED = {"store_front.jobs:ship", "store_front.jobs:label"}
JOBS = "store_front.jobs:"


@pytest.fixture
def jobs(store_front: None) -> ModuleType:
    return importlib.import_module("store_front.jobs")


@pytest.fixture
def traced(spans: Spans) -> Callable[[], Any]:
    """A block that is traced, to enqueue jobs in."""
    return lambda: traced_work(spans)


@pytest.fixture(autouse=True)
def instrumented(spans: Spans) -> Iterator[None]:
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT])
    before = otel_context.get_current()
    yield
    assert otel_context.get_current() is before, "something stayed attached"


@contextmanager
def traced_work(spans: Spans, settings: Settings | None = None) -> Iterator[None]:
    token = otel_context.attach(with_playback(Context(), CHECKOUT, settings or Settings()))
    with spans.provider.get_tracer("t").start_as_current_span("work"):
        yield
    otel_context.detach(token)


def work_off(redis: Redis, **arguments: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rq.SimpleWorker([rq.Queue(connection=redis)], connection=redis, **arguments).work(burst=True)


def consumers(spans: Spans) -> dict[str, ReadableSpan]:
    """The CONSUMER spans by the name of the job's function."""
    found = [span for span in spans.ended if span.kind is SpanKind.CONSUMER]
    return {str((span.attributes or {})["messaging.rq.function"]).rpartition(".")[2]: span for span in found}


def parent_of(span: ReadableSpan, spans: Spans) -> ReadableSpan:
    assert span.parent is not None
    parents = [other for other in spans.ended if other.context and other.context.span_id == span.parent.span_id]
    assert len(parents) == 1
    return parents[0]


@pytest.mark.row("RQ job", "enqueue")
def test_a_job_is_recorded_under_the_profile_that_enqueued_it(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    with traced():
        rq.Queue(connection=redis).enqueue(jobs.pack, "apple")
    work_off(redis)
    pack = consumers(spans)["pack"]
    assert functions(pack) == PACKED
    attributes = pack.attributes or {}
    assert attributes["coverage.role"] == "consumer"
    assert (attributes["playback.profile"], attributes["playback.run_id"]) == ("checkout", "run-1")


@pytest.mark.row("RQ job", "enqueued by a job")
def test_jobs_that_jobs_enqueue_carry_it_on(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    with traced():
        rq.Queue(connection=redis).enqueue(jobs.pack, "apple")
    work_off(redis)
    ship = consumers(spans)["ship"]
    assert functions(ship) == SHIPPED
    assert (ship.attributes or {})["playback.profile"] == "checkout"
    producer = parent_of(ship, spans)
    assert producer.kind is SpanKind.PRODUCER
    assert (producer.attributes or {})["coverage.role"] == "producer"
    assert parent_of(producer, spans) is consumers(spans)["pack"]
    assert parent_of(parent_of(consumers(spans)["pack"], spans), spans).name == "work"


@pytest.mark.row("RQ job", "messaging conventions")
def test_spans_follow_the_messaging_conventions(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    with traced():
        job = rq.Queue("mail", connection=redis).enqueue(jobs.ship, 3)
    (producer,) = [span for span in spans.ended if span.kind is SpanKind.PRODUCER]
    assert producer.name == "enqueue mail"
    common = {
        "messaging.system": "rq",
        "messaging.destination.name": "mail",
        "messaging.message.id": job.id,
        "messaging.rq.function": "store_front.jobs.ship",
    }
    assert common.items() <= dict(producer.attributes or {}).items()
    assert (producer.attributes or {})["messaging.operation.type"] == "send"
    rq.SimpleWorker(["mail"], connection=redis).work(burst=True)
    consumer = consumers(spans)["ship"]
    assert consumer.name == "process mail"
    assert common.items() <= dict(consumer.attributes or {}).items()
    assert (consumer.attributes or {})["messaging.operation.type"] == "process"


class Clerk:
    def greet(self) -> str:
        return "hello"

    @classmethod
    def hire(cls) -> Clerk:
        return cls()


@pytest.mark.parametrize(("method", "name"), [(Clerk().greet, "greet"), (Clerk.hire, "hire")])
def test_a_method_has_one_name_where_it_is_queued_and_where_it_is_performed(
    redis: Redis, spans: Spans, traced: Callable[[], Any], method: Callable[[], object], name: str
) -> None:
    with traced():
        job = rq.Queue(connection=redis).enqueue(method)
    work_off(redis)
    queue = rq.Queue(connection=redis)
    queue.enqueue_job(rq.job.Job.fetch(job.id, connection=redis))
    work_off(redis)
    about_jobs = [span for span in spans.ended if "messaging.rq.function" in (span.attributes or {})]
    assert [span.kind for span in about_jobs] == [SpanKind.PRODUCER, SpanKind.CONSUMER] * 2
    assert {(span.attributes or {})["messaging.rq.function"] for span in about_jobs} == {f"{__name__}.Clerk.{name}"}
    performed = {(span.attributes or {}).get("coverage.entry_name") for span in about_jobs}
    assert performed == {None, f"{__name__}:Clerk.{name}"}


@pytest.mark.row("RQ job", "job.meta of the application")
def test_what_the_application_keeps_in_meta_is_left_alone(
    redis: Redis, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    mine = {"owner": "me"}
    queue = rq.Queue(connection=redis)
    with traced():
        first, second = queue.enqueue(jobs.ship, 3, meta=mine), queue.enqueue(jobs.ship, 3, meta=mine)
    assert [job.get_meta(refresh=True) for job in (first, second)] == [{"owner": "me"}] * 2
    assert carrier_of(first)["traceparent"] != carrier_of(second)["traceparent"]


@pytest.mark.row("RQ job", "job that replaces its meta")
def test_a_job_that_replaces_its_meta_and_is_retried_is_recorded_each_time(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    with traced():
        rq.Queue(connection=redis).enqueue(jobs.replace_meta_and_fail, retry=rq.Retry(max=1), meta={"owner": "me"})
    work_off(redis)
    assert [functions(span) for span in spans.with_role("consumer")] == [{JOBS + "replace_meta_and_fail"}] * 2


@pytest.mark.row("RQ job", "token")
def test_the_token_does_not_travel_with_a_job_and_its_signature_does(
    redis: Redis, spans: Spans, jobs: ModuleType
) -> None:
    otel_coverage.uninstrument()
    guarded = Settings(enabled=True, source=(STORE_FRONT,), token="secret")
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT], token="secret")
    queue = rq.Queue(connection=redis)
    with traced_work(spans, guarded):
        job = queue.enqueue(jobs.ship, 3)
    assert "secret" not in str(redis.hgetall(job.key))
    assert sign("secret", "checkout", "run-1") in carrier_of(job)["baggage"]
    forged = Call({"baggage": "playback.profile=checkout,playback.run_id=run-1"}, "producer")
    redis.hset(queue.enqueue(jobs.label, 3).key, FIELD, forged.dumps())
    work_off(redis)
    assert functions(consumers(spans)["ship"]) == SHIPPED
    assert "playback.profile" not in (consumers(spans)["label"].attributes or {})


def test_an_untraced_job_has_its_spans_and_no_coverage(redis: Redis, spans: Spans, jobs: ModuleType) -> None:
    rq.Queue(connection=redis).enqueue(jobs.ship, 3)
    work_off(redis)
    assert [span.kind for span in spans.ended] == [SpanKind.PRODUCER, SpanKind.CONSUMER]
    names = {name for span in spans.ended for name in span.attributes or {}}
    assert not {name for name in names if name.startswith(("coverage.", "playback."))}


class WorkHorse(rq.SimpleWorker):
    """Performs jobs in this process, and believes that it leaves it after each."""

    is_horse = True


@pytest.mark.parametrize("is_recorded", [True, False])
def test_nobody_waits_for_the_spans_of_an_untraced_job(
    is_recorded: bool,
    redis: Redis,
    spans: Spans,
    jobs: ModuleType,
    traced: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flushed: list[float] = []
    monkeypatch.setattr(propagation, "flush", flushed.append)
    if not is_recorded:
        otel_coverage.uninstrument()
        install_hooks(Settings(enabled=False), tracer_provider=spans.provider)
    queue = rq.Queue(connection=redis)
    queue.enqueue(jobs.ship, 3)
    WorkHorse([queue], connection=redis).work(burst=True)
    assert flushed == []
    with traced():
        queue.enqueue(jobs.ship, 3)
    WorkHorse([queue], connection=redis).work(burst=True)
    assert len(flushed) == is_recorded
    assert len(consumers(spans)) == 1
    otel_coverage.uninstrument()


@pytest.mark.row("RQ job", "exception and failure callback")
def test_a_job_that_fails_is_recorded_with_its_callback(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    with traced():
        rq.Queue(connection=redis).enqueue(jobs.fail, on_failure=rq.Callback(jobs.failed))
    work_off(redis)
    span = consumers(spans)["fail"]
    assert functions(span) == {"store_front.jobs:fail", "store_front.jobs:failed"}
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]


@pytest.mark.row("RQ job", "success callback")
def test_a_callback_on_success_belongs_to_its_job(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    with traced():
        rq.Queue(connection=redis).enqueue(jobs.ship, 3, on_success=rq.Callback(jobs.succeeded))
    work_off(redis)
    assert functions(consumers(spans)["ship"]) == SHIPPED | {"store_front.jobs:succeeded"}
    assert consumers(spans)["ship"].status.status_code is StatusCode.UNSET


@pytest.mark.row("RQ job", "retry")
def test_a_retried_job_is_recorded_each_time(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    with traced():
        rq.Queue(connection=redis).enqueue(jobs.fail, retry=rq.Retry(max=1))
    work_off(redis)
    attempts = spans.with_role("consumer")
    assert [functions(span) for span in attempts] == [{"store_front.jobs:fail"}] * 2
    assert_each_answers_a_call_of_its_own(attempts, spans)


@pytest.mark.row("RQ job", "requeue")
def test_a_requeued_job_belongs_to_the_context_that_enqueued_it(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    with traced():
        job = rq.Queue(connection=redis).enqueue(jobs.fail)
    work_off(redis)
    job.requeue()
    work_off(redis)
    attempts = spans.with_role("consumer")
    assert [functions(span) for span in attempts] == [{"store_front.jobs:fail"}] * 2
    assert_each_answers_a_call_of_its_own(attempts, spans)


@pytest.mark.row("RQ job", "depends_on")
def test_a_job_that_waits_for_another_is_a_child_of_what_enqueued_it(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    queue = rq.Queue(connection=redis)
    with traced():
        first = queue.enqueue(jobs.label, 3)
        queue.enqueue(jobs.ship, 3, depends_on=first)
    work_off(redis)
    ship = consumers(spans)["ship"]
    assert functions(ship) == SHIPPED
    waited = parent_of(parent_of(ship, spans), spans)
    assert (waited.attributes or {})["coverage.role"] == "pending"
    assert parent_of(waited, spans).name == "work"


WAYS = ["enqueue_call", "enqueue_many", "enqueue_in", "enqueue_at", "create_job"]


@pytest.mark.row("RQ job")
@pytest.mark.parametrize("enqueue", [*WAYS, pytest.param("Group", marks=pytest.mark.since_rq(2))])
def test_every_way_to_enqueue_carries_it(
    enqueue: str, redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    queue = rq.Queue(connection=redis)
    with traced():
        if enqueue == "enqueue_call":
            queue.enqueue_call(jobs.ship, (3,))
        elif enqueue == "enqueue_many":
            queue.enqueue_many([rq.Queue.prepare_data(jobs.ship, (3,))])
        elif enqueue == "enqueue_in":
            job = queue.enqueue_in(timedelta(seconds=0), jobs.ship, 3)
            queue.enqueue_job(job)  # what the scheduler does when its time has come
        elif enqueue == "enqueue_at":
            queue.enqueue_job(queue.enqueue_at(datetime.now(timezone.utc), jobs.ship, 3))
        elif enqueue == "Group":
            group = importlib.import_module("rq.group").Group.create(connection=redis)
            group.enqueue_many(queue, [rq.Queue.prepare_data(jobs.ship, (3,))])
        else:
            queue.enqueue_job(queue.create_job(jobs.ship, (3,)))
    work_off(redis)
    assert functions(consumers(spans)["ship"]) == SHIPPED


@pytest.mark.row("RQ job", "Queue(is_async=False)")
def test_a_queue_without_workers_performs_the_job_under_its_own_span(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    with traced():
        rq.Queue(connection=redis, is_async=False).enqueue(jobs.ship, 3, on_success=rq.Callback(jobs.succeeded))
        jobs.label(4)
    ship = consumers(spans)["ship"]
    assert functions(ship) == SHIPPED | {"store_front.jobs:succeeded"}
    assert parent_of(ship, spans).kind is SpanKind.PRODUCER
    assert functions(spans.only("process")) == {"store_front.jobs:label"}


def test_a_failing_job_of_a_queue_without_workers_has_an_error_on_its_span(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    with traced():
        rq.Queue(connection=redis, is_async=False).enqueue(jobs.fail)
    assert consumers(spans)["fail"].status.status_code is StatusCode.ERROR


class LossySerializer:
    """Keeps no dictionary but an empty one."""

    @staticmethod
    def dumps(value: Any, *args: Any, **kwargs: Any) -> bytes:
        return b"mine" + json.dumps({} if isinstance(value, dict) else value).encode()

    @staticmethod
    def loads(value: bytes, *args: Any, **kwargs: Any) -> Any:
        return json.loads(value.removeprefix(b"mine"))


@pytest.mark.row("RQ job", "another serializer")
@pytest.mark.parametrize("serializer", [JSONSerializer, LossySerializer], ids=["JSON", "one that loses meta"])
def test_another_serializer_carries_it_too(
    serializer: Any, redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    queue = rq.Queue(connection=redis, serializer=serializer)
    with traced():
        queue.enqueue(jobs.ship, 3, meta={"mine": True})
    rq.SimpleWorker([queue], connection=redis, serializer=serializer).work(burst=True)
    assert functions(consumers(spans)["ship"]) == SHIPPED


@pytest.mark.row("RQ job", "another job class")
def test_a_job_class_of_ones_own_is_hooked_as_well(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    class OwnJob(rq.job.Job):
        pass

    queue = rq.Queue(connection=redis, job_class=OwnJob)
    with traced():
        job = queue.enqueue(jobs.ship, 3)
    assert type(job) is OwnJob
    work_off(redis, job_class=OwnJob)
    assert functions(consumers(spans)["ship"]) == SHIPPED


class _TimeIsUpInOurHooks(Job):
    """A job that is asked for something by ours in the moment in which the time of who makes it is up."""

    asked = ""

    def __getattribute__(self, name: str) -> Any:
        if name == type(self).asked and sys._getframe(1).f_globals["__name__"].startswith("otel_coverage."):
            signal.raise_signal(signal.SIGALRM)
        return super().__getattribute__(name)


@pytest.mark.parametrize("asked", ["func_name", "id"])
def test_a_job_whose_time_is_up_while_it_queues_another_one_ends_then(
    asked: str, redis: Redis, jobs: ModuleType, traced: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_TimeIsUpInOurHooks, "asked", asked)
    queue = rq.Queue(connection=redis, job_class=_TimeIsUpInOurHooks)
    penalty: Any = UnixSignalDeathPenalty
    with traced(), pytest.raises(JobTimeoutException), penalty(3600, JobTimeoutException):
        queue.enqueue(jobs.pack, "apple")


def test_a_job_whose_function_is_gone_fails_as_ever(redis: Redis, spans: Spans, traced: Callable[[], Any]) -> None:
    with traced():
        job = rq.Queue(connection=redis).enqueue("store_front.no_such_function")
    work_off(redis)
    assert job.get_status() == "failed"
    assert consumers(spans)["no_such_function"].status.status_code is StatusCode.ERROR


@pytest.mark.row("RQ job", "uninstrument()")
def test_uninstrumenting_puts_back_the_very_same_methods(spans: Spans) -> None:
    otel_coverage.uninstrument()
    owners = [(rq.job.Job, "create"), (rq.job.Job, "perform"), (rq.Queue, "run_sync"), (rq.Worker, "perform_job")]

    def hooked() -> list[object]:
        return [vars(next(base for base in owner.__mro__ if name in vars(base)))[name] for owner, name in owners]

    originals = hooked()
    for _ in range(2):
        otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT])
        assert all(new is not old for new, old in zip(hooked(), originals, strict=True))
        otel_coverage.uninstrument()
        assert all(new is old for new, old in zip(hooked(), originals, strict=True))


@pytest.mark.parametrize("broken", ["nonsense", "[]", '{"carrier": 1}', '{"carrier": {"traceparent": 1}}', b"\xff"])
def test_a_job_whose_context_is_malformed_is_performed_untraced(
    broken: str | bytes, redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    with traced():
        job = rq.Queue(connection=redis).enqueue(jobs.ship, 3)
    redis.hset(job.key, FIELD, broken)
    work_off(redis)
    span = consumers(spans)["ship"]
    assert span.parent is None
    assert "coverage.functions" not in (span.attributes or {})


def test_the_current_span_in_a_job_is_its_consumer_span(redis: Redis, spans: Spans) -> None:
    job = rq.Queue(connection=redis).enqueue(current_span_id)
    work_off(redis)
    span = consumers(spans)["current_span_id"]
    assert span.context is not None
    assert job.return_value() == span.context.span_id


def assert_each_answers_a_call_of_its_own(attempts: list[ReadableSpan], spans: Spans) -> None:
    calls = [parent_of(span, spans) for span in attempts]
    assert [span.context for span in calls] == [span.context for span in spans.with_role("producer")]


def carrier_of(job: Any) -> Mapping[str, str]:
    """The headers that the job carries in Redis."""
    call = loads(job.connection.hget(job.key, FIELD))
    assert call is not None
    return call.carrier


def current_span_id() -> int:
    return trace.get_current_span().get_span_context().span_id


@pytest.mark.row("RQ job")
@pytest.mark.since_rq(2, 5)
@pytest.mark.parametrize("is_traced", [True, False], ids=["traced cron", "untraced cron"])
def test_a_cron_job_belongs_to_the_context_of_its_scheduler(
    is_traced: bool, redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    cron = importlib.import_module("rq.cron").CronScheduler(connection=redis)
    cron.register(jobs.ship, "default", args=(3,), interval=60)
    with traced() if is_traced else nullcontext():
        cron.enqueue_jobs()
    work_off(redis)
    ship = consumers(spans)["ship"]
    assert ("coverage.functions" in (ship.attributes or {})) is is_traced


def test_what_runs_as_a_jobs_arguments_are_deserialized_is_recorded(
    redis: Redis, spans: Spans, jobs: ModuleType, traced: Callable[[], Any]
) -> None:
    with traced():
        rq.Queue(connection=redis).enqueue(jobs.weigh, jobs.Parcel(7))
    work_off(redis)
    assert functions(consumers(spans)["weigh"]) == {JOBS + "weigh", JOBS + "Parcel.__setstate__"}
