"""Jobs are performed: a CONSUMER span below the call, and a recording where the job is traced."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.util.types import AttributeValue

from otel_coverage.instrumentation.patch import arguments
from otel_coverage.instrumentation.propagation import prepared_entry_span, record_error, start_entry_span
from otel_coverage.instrumentation.routes.route import symbol_of_view
from otel_coverage.instrumentation.rq.call import FIELD, begin, call_of, prepare_begin
from otel_coverage.instrumentation.rq.messaging import attributes, entry_name, function_of
from otel_coverage.instrumentation.rq.queueing import queueing_of
from otel_coverage.tracing.context import entry_of
from otel_coverage.tracing.entry_point import EntryPoint
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder


class ConsumerHooks:
    """What of a job is called in every class of workers. A failure in a hook is logged and counted."""

    def __init__(self, tracer: Tracer, recorder: Recorder | None) -> None:
        self._tracer = tracer
        self._recorder = recorder

    def prepare_for_execution(
        self, prepare: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``Job.prepare_for_execution``: the same call is not answered by another performance."""
        result = prepare(*args, **kwargs)
        try:
            text = begin(job)
            if text is not None:
                (pipeline,) = arguments(args, kwargs, pipeline=1)
                pipeline.hset(job.key, FIELD, text)
        except Exception as error:
            log.failed("noting that a job has begun", error)
        return result

    def perform(self, perform: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Job.perform``: the last that sees the exception of a job, which RQ handles."""
        try:
            return perform(*args, **kwargs)
        except BaseException as error:
            record_error(error)
            raise

    def run_sync(self, run: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Queue.run_sync``: the job with its callbacks, in the process and the context that enqueued it."""
        (job,) = arguments(args, kwargs, job=0)
        queueing = queueing_of(job)
        if queueing is not None:
            queueing.end(None)
        with self.consuming(job, otel_context.get_current()):
            return run(*args, **kwargs)

    def execute_stopped_callback(
        self, call: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The callback of a stopped job: it runs in the worker, since the job's own process was killed."""
        job = args[0] if job is None else job
        with self.consuming(job, Context()):
            entry = entry_of(otel_context.get_current())
            if entry is not None:
                entry.mark_incomplete(
                    "job_stopped", "the job was stopped: what it had executed was lost with its process"
                )
            return call(*args, **kwargs)

    def prepared(self, job: Any) -> AbstractContextManager[None]:
        """Around the fork of a work horse: what :meth:`consuming` does there, as far as this process can do it."""
        try:
            call = call_of(job)
            if call is None or call.begun or not call.function:
                return nullcontext()
            prepare_begin(call)
            return prepared_entry_span(call.carrier, self._recorder, self._tracer, *self._of_span(job, call.function))
        except Exception as error:
            log.failed("preparing a job", error)
            return nullcontext()

    def consuming(self, job: Any, outside: Context) -> AbstractContextManager[Span | None]:
        """A CONSUMER span below the job's call, and a recording where the job is traced."""
        call = call_of(job)
        # to deserialize the job runs its application's code, which the entry is to open before
        function = (call.function if call is not None else "") or function_of(job)
        return start_entry_span(
            None if call is None else call.carrier,
            outside,
            self._recorder,
            self._tracer,
            *self._of_span(job, function),
            partial(self._entry_point, job, function),
        )

    @staticmethod
    def _of_span(job: Any, function: str) -> tuple[str, SpanKind, dict[str, AttributeValue]]:
        """Name, kind and attributes."""
        described = attributes(job.id, job.origin or "default", function, "process", "process")
        return f"process {job.origin}", SpanKind.CONSUMER, described

    def _entry_point(self, job: Any, function: str) -> EntryPoint | None:
        if self._recorder is None or not function:
            return None
        name, found = entry_name(job, function)
        return EntryPoint(name, "" if found is None else symbol_of_view(found, self._recorder))
