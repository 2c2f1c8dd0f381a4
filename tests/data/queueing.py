"""Ways to deal with a queue, each under a profile of its own; run as a program, it does them all."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from datetime import timedelta

import redis
import rq
import rq.exceptions
from rq.job import Job

import otel_coverage

SHIP = "store_front.jobs.ship"
WAYS: list[Callable[[rq.Queue], object]] = []


def way(function: Callable[[rq.Queue], object]) -> Callable[[rq.Queue], object]:
    WAYS.append(function)
    return function


def elsewhere(queue: rq.Queue) -> rq.Queue:
    """A queue that no worker serves."""
    return rq.Queue("elsewhere", connection=queue.connection)


@way
def enqueued(queue: rq.Queue) -> None:
    queue.enqueue(SHIP, 3)


@way
def enqueued_elsewhere(queue: rq.Queue) -> None:
    elsewhere(queue).enqueue(SHIP, 3)


@way
def only_made(queue: rq.Queue) -> None:
    Job.create(SHIP, (3,), connection=queue.connection)
    queue.create_job(SHIP, (3,)).save()


@way
def pipeline_executed(queue: rq.Queue) -> None:
    with queue.connection.pipeline() as pipeline:
        queue.enqueue(SHIP, 3, pipeline=pipeline)
        queue.enqueue_many([rq.Queue.prepare_data(SHIP, (4,))], pipeline=pipeline)
        pipeline.execute()


@way
def pipeline_discarded(queue: rq.Queue) -> None:
    with queue.connection.pipeline() as pipeline:
        queue.enqueue(SHIP, 3, pipeline=pipeline)
        pipeline.reset()
        pipeline.set("another", "use of it")
        pipeline.execute()
    with queue.connection.pipeline() as pipeline:
        queue.enqueue(SHIP, 3, pipeline=pipeline)


@way
def pipeline_failed(queue: rq.Queue) -> None:
    queue.connection.set("a text", "and no list")
    with queue.connection.pipeline() as pipeline:
        pipeline.watch("a text")
        queue.enqueue(SHIP, 3, pipeline=pipeline)
        queue.connection.set("a text", "that somebody else changed")
        try:
            pipeline.execute()
        except redis.WatchError:
            return
    raise AssertionError("the pipeline was executed")


@way
def refused_by_redis(queue: rq.Queue) -> None:
    broken = rq.Queue("broken", connection=queue.connection)
    queue.connection.set(broken.key, "no list")
    try:
        broken.enqueue(SHIP, 3)
    except redis.ResponseError:
        return
    raise AssertionError("the job was queued")


if "unique" in inspect.signature(rq.Queue.enqueue_call).parameters:

    @way
    def refused_as_a_duplicate(queue: rq.Queue) -> None:
        queue.enqueue(SHIP, 3, job_id="one", unique=True)
        for again in (queue, elsewhere(queue)):
            try:
                again.enqueue(SHIP, 3, job_id="one", unique=True)
            except rq.exceptions.DuplicateJobError:
                continue
            raise AssertionError("the job was queued twice")


@way
def cancelled(queue: rq.Queue) -> None:
    elsewhere(queue).enqueue(SHIP, 3).cancel()


@way
def cancelled_in_a_pipeline(queue: rq.Queue) -> None:
    job = elsewhere(queue).enqueue(SHIP, 3)
    with queue.connection.pipeline() as pipeline:
        job.cancel(pipeline=pipeline)
        pipeline.execute()


@way
def cancelled_in_a_pipeline_that_is_discarded(queue: rq.Queue) -> None:
    job = elsewhere(queue).enqueue(SHIP, 3)
    with queue.connection.pipeline() as pipeline:
        job.cancel(pipeline=pipeline)


@way
def deleted(queue: rq.Queue) -> None:
    elsewhere(queue).enqueue(SHIP, 3).delete()


@way
def cancelled_and_deleted_by_id(queue: rq.Queue) -> None:
    job = elsewhere(queue).enqueue(SHIP, 3)
    rq.cancel_job(job.id, connection=queue.connection)
    Job.fetch(job.id, connection=queue.connection).delete()


@way
def emptied(queue: rq.Queue) -> None:
    another = rq.Queue("another", connection=queue.connection)
    another.enqueue(SHIP, 3)
    another.enqueue(SHIP, 4)
    another.empty()


@way
def scheduled(queue: rq.Queue) -> None:
    queue.enqueue_in(timedelta(hours=1), SHIP, 3)


@way
def scheduled_and_deleted(queue: rq.Queue) -> None:
    queue.enqueue_in(timedelta(hours=1), SHIP, 3).delete()


@way
def scheduled_and_enqueued(queue: rq.Queue) -> None:
    queue.enqueue_job(queue.enqueue_in(timedelta(hours=1), SHIP, 3))


@way
def released(queue: rq.Queue) -> None:
    first = queue.enqueue("store_front.jobs.label", 3)
    queue.enqueue(SHIP, 3, depends_on=first)
    queue.enqueue_many([rq.Queue.prepare_data(SHIP, (4,), depends_on=first)])


@way
def never_released(queue: rq.Queue) -> None:
    queue.enqueue(SHIP, 3, depends_on=queue.enqueue("store_front.jobs.fail"))


@way
def deleted_when_it_had_run(queue: rq.Queue) -> None:
    queue.enqueue(SHIP, 3, result_ttl=0)


@way
def performed_at_once(queue: rq.Queue) -> None:
    rq.Queue(connection=queue.connection, is_async=False).enqueue(SHIP, 3)


if "rate_limit" in inspect.signature(rq.Queue.enqueue_call).parameters:

    @way
    def limited(queue: rq.Queue) -> None:
        from rq.rate_limit import RateLimit

        for _ in range(3):
            queue.enqueue(SHIP, 3, rate_limit=RateLimit("one at a time", 1))

    @way
    def limited_and_cancelled(queue: rq.Queue) -> None:
        from rq.rate_limit import RateLimit

        jobs = [elsewhere(queue).enqueue(SHIP, 3, rate_limit=RateLimit("none at all", 1)) for _ in range(2)]
        for job in reversed(jobs):
            job.cancel()


if __name__ == "__main__":
    connection = redis.Redis.from_url(os.environ["REDIS_URL"])
    for each in WAYS:
        with otel_coverage.attached({"baggage": f"playback.profile={each.__name__},playback.run_id=r1"}, each.__name__):
            each(rq.Queue(connection=connection))
