"""Jobs are made, saved, read and queued: what they are queued for goes with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otel_coverage.instrumentation.patch import arguments
from otel_coverage.instrumentation.propagation import inject
from otel_coverage.instrumentation.routes import register
from otel_coverage.instrumentation.rq.call import FIELD, Call, call_of, loads, set_call
from otel_coverage.instrumentation.rq.messaging import entry_name, function_of
from otel_coverage.instrumentation.rq.queueing import Queueings, made
from otel_coverage.tracing.log import log


class ProducerHooks:
    """A failure in them is logged and counted; RQ goes on all the same."""

    def __init__(self, queueings: Queueings) -> None:
        self._queueings = queueings

    def create(self, create: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Job.create``: the job belongs to the context that makes it, until something queues it."""
        job = create(*args, **kwargs)
        try:
            function = function_of(job)
            set_call(job, Call(inject(), function=function))
            register.queued(*entry_name(job, function))
        except Exception as error:
            log.failed("passing a context to a job", error)
        return job

    def restore(self, restore: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Job.restore``: the job was read from Redis."""
        restored = restore(*args, **kwargs)
        try:
            fields = args[0] if args else kwargs["raw_data"]
            set_call(job, loads(fields.get(FIELD.encode(), fields.get(FIELD))))
        except Exception as error:
            log.failed("reading the context of a job", error)
        return restored

    def to_dict(self, to_dict: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Job.to_dict``: what is saved of the job, in a transaction, a pipeline or a script."""
        fields = to_dict(*args, **kwargs)
        try:
            call = call_of(job)
            if call is not None:
                fields[FIELD] = call.dumps()
        except Exception as error:
            log.failed("saving the context of a job", error)
        return fields

    def save(self, save: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Job.save``: what is saved as scheduled, and RQ did not schedule, another scheduler did."""
        call = call_of(job)
        if call is None or call.role or _status(job) != "scheduled":
            return save(*args, **kwargs)
        queueing = self._queueings.begin(job, job.origin or "default", "schedule", "pending")
        return made(queueing, save, args, kwargs, *arguments(args, kwargs, pipeline=0))

    def enqueue_job(
        self, enqueue: Callable[..., Any], queue: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``Queue._enqueue_job``, ``Queue._enqueue_rate_limited_job``: the job is put on a queue."""
        job, pipeline, is_unique = arguments(args, kwargs, job=0, pipeline=1, unique=3)
        queueing = self._queueings.begin(job, queue.name, "enqueue", "producer")
        return made(queueing, enqueue, args, kwargs, None if is_unique else pipeline)  # RQ ignores it then

    def schedule_job(
        self, schedule: Callable[..., Any], queue: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``Queue.schedule_job``: the job waits for its time."""
        job, pipeline, is_unique = arguments(args, kwargs, job=0, pipeline=2, unique=3)
        queueing = self._queueings.begin(job, queue.name, "schedule", "pending")
        return made(queueing, schedule, args, kwargs, None if is_unique else pipeline)

    def register_dependency(
        self, register: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``Job.register_dependency``: the job waits for other jobs. It may have been saved before."""
        (pipeline,) = arguments(args, kwargs, pipeline=0)
        queueing = self._queueings.begin(job, job.origin or "default", "defer", "pending")
        try:
            call = call_of(job)
            if call is not None:
                (job.connection if pipeline is None else pipeline).hset(job.key, FIELD, call.dumps())
        except Exception as error:
            log.failed("passing a context to a job that waits for others", error)
        return made(queueing, register, args, kwargs, pipeline)


def _status(job: Any) -> str:
    status = getattr(job, "_status", None)
    return str(getattr(status, "value", status))
