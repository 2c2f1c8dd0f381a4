"""The job queue, for the web pages and for jobs that enqueue jobs."""

from __future__ import annotations

from typing import Any

from redis import Redis
from rq import Queue
from rq.job import Job

from shop.settings import QUEUE, Settings


def queue() -> Queue:
    """The shop's queue."""
    return Queue(QUEUE, connection=Redis.from_url(Settings.from_environment().redis_url))


def later(function: str, *arguments: Any, after: list[Job] | None = None) -> Job:
    """Enqueue a function of :mod:`shop.jobs`, to run when the jobs ``after`` are finished."""
    return queue().enqueue(f"shop.jobs.{function}", *arguments, depends_on=after or None)


def find(job_id: str) -> Job:
    """A job by its id."""
    return Job.fetch(job_id, connection=queue().connection)


def forget(job_id: str) -> None:
    """Delete a job."""
    find(job_id).delete()
