"""Jobs that wait are cancelled or deleted, or their queue is emptied: nobody will perform them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Tracer

from otel_coverage.instrumentation.patch import arguments
from otel_coverage.instrumentation.propagation import extract
from otel_coverage.instrumentation.rq.call import FIELD, Call, call_of, is_loaded, loads
from otel_coverage.instrumentation.rq.messaging import attributes
from otel_coverage.instrumentation.rq.pipeline import when_executed
from otel_coverage.instrumentation.rq.queueing import Queueings
from otel_coverage.tracing.context import with_role
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder

_CHUNK = 500  # jobs asked about in one message to Redis

# the states of a job that no worker has begun to perform since it was queued
_WAITING = {"created", "queued", "deferred", "scheduled", "ready_to_enqueue", "rate_limited"}


class CancellationHooks:
    """A failure in them is logged and counted; RQ goes on all the same."""

    def __init__(self, tracer: Tracer, recorder: Recorder | None, queueings: Queueings) -> None:
        self._tracer = tracer
        self._recorder = recorder
        self._queueings = queueings

    def cancel(self, cancel: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Job.cancel``, ``Job.delete``: a job that still waits will not be performed."""
        calls = self._waiting_calls(job.connection, [job])
        result = cancel(*args, **kwargs)
        if calls:
            (pipeline,) = arguments(args, kwargs, pipeline=0)
            if pipeline is None:
                self._cancelled(calls, None)
            else:
                when_executed(pipeline, lambda error: self._cancelled(calls, error))
        return result

    def empty(self, empty: Callable[..., Any], queue: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Queue.empty``: its jobs will not be performed."""
        calls: list[tuple[str, str, Call]] = []
        if self._recorder is not None:
            try:
                jobs = [queue.job_class(job_id, connection=queue.connection) for job_id in queue.get_job_ids()]
                calls = self._waiting_calls(queue.connection, jobs)
            except Exception as error:
                log.failed("reading which jobs a queue holds", error)
        result = empty(*args, **kwargs)
        self._cancelled([(job_id, queue.name, call) for job_id, _, call in calls], None)
        return result

    def _may_be_traced(self, job: Any) -> bool:
        """Whether it is worth asking Redis: not for an untraced job, nor for one that this process has performed."""
        if not is_loaded(job):
            return self._recorder is not None
        call = call_of(job)
        return call is not None and not call.begun and self._queueings.is_traced(extract(call.carrier, Context()))

    def _waiting_calls(self, connection: Any, jobs: list[Any]) -> list[tuple[str, str, Call]]:
        """The traced calls of those of the jobs that wait, as Redis knows them, with the job's id and its queue."""
        found: list[tuple[str, str, Call]] = []
        try:
            jobs = list(filter(self._may_be_traced, jobs))
            for first in range(0, len(jobs), _CHUNK):
                chunk = jobs[first : first + _CHUNK]
                with connection.pipeline(transaction=False) as pipeline:
                    for job in chunk:
                        pipeline.hmget(job.key, FIELD, "status", "origin")
                    answers = pipeline.execute()
                for job, (text, status, origin) in zip(chunk, answers, strict=True):
                    call = loads(text)
                    if call is None or not call.role or call.begun or (status or b"").decode() not in _WAITING:
                        continue
                    if self._queueings.is_traced(extract(call.carrier, Context())):
                        found.append((job.id, (origin or b"default").decode(), call))
        except Exception as error:
            log.failed("reading whether a job waits", error)
        return found

    def _cancelled(self, calls: list[tuple[str, str, Call]], error: BaseException | None) -> None:
        if error is not None:
            return
        try:
            for job_id, queue, call in calls:
                self._tracer.start_span(
                    f"cancel {queue}",
                    context=with_role(extract(call.carrier, Context()), "cancelled"),
                    kind=SpanKind.CLIENT,
                    attributes=attributes(job_id, queue, call.function, "cancel", "settle"),
                ).end()
        except Exception as failure:
            log.failed("reporting that a job was cancelled", failure)
