"""The queue, for web application, service and jobs."""

from __future__ import annotations

from typing import Any

from rq import Queue
from rq.job import Job

from basin import runs

QUEUE = "basin"


def later(run: str, function: str, *arguments: Any) -> str:
    """Enqueue a function of :mod:`basin.jobs`. Returns the job's id."""
    queue = Queue(QUEUE, connection=runs.redis())
    return queue.enqueue(f"basin.jobs.{function}", *arguments, meta={"run": run}).id


def state(job_id: str) -> str:
    """The state of a job."""
    status = Job.fetch(job_id, connection=runs.redis()).get_status()
    return str(getattr(status, "value", status))
