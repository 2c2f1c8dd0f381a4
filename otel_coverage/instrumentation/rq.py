"""RQ: a PRODUCER span where a job is made, a CONSUMER span around its execution, and the context between them.

Every version of RQ, and rq-scheduler, makes jobs in ``Job.create``; workers of every class execute them in
``perform_job``, queues with ``is_async=False`` in ``run_sync``. The context travels in ``job.meta``, under one key.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider
from opentelemetry.util.types import AttributeValue

from otel_coverage import __version__
from otel_coverage.instrumentation.commands import following_forks
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.propagation import FLUSH_SECONDS, inject, record_error, start_entry_span
from otel_coverage.tracing.context import entry_of
from otel_coverage.tracing.log import log
from otel_coverage.tracing.provider import flush, prepare
from otel_coverage.tracing.recorder import Recorder

META_KEY = "otel_coverage"


class RQInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instruments ``rq``; works without a recorder, too, and then makes plain spans.

    ``instrument()`` takes ``tracer_provider`` and ``recorder``, both optional.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """The versions that this was written for."""
        return ("rq >= 1.16",)

    def _instrument(self, **kwargs: Any) -> None:
        import rq.job
        import rq.queue
        import rq.worker

        provider: TracerProvider | None = kwargs.get("tracer_provider")
        tracer = trace.get_tracer("otel_coverage.rq", __version__, provider)
        hooks = _Hooks(tracer, kwargs.get("recorder"))
        self._patches = Patches()
        self._patches.wrap(rq.job.Job, "create", hooks.create)
        self._patches.wrap(rq.job.Job, "perform", hooks.perform)
        self._patches.wrap(rq.queue.Queue, "run_sync", hooks.run_sync)
        self._patches.wrap(rq.worker.Worker, "perform_job", hooks.perform_job)
        self._patches.wrap(rq.worker.Worker, "fork_work_horse", hooks.fork)
        if hasattr(rq.job.Job, "execute_stopped_callback"):
            self._patches.wrap(rq.job.Job, "execute_stopped_callback", hooks.stopped)
        else:  # since RQ 3
            self._patches.wrap(sys.modules[rq.worker.Worker.__module__], "execute_stopped_callback", hooks.stopped)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._patches.undo()


class _Hooks:
    """The wrappers. What fails in them is counted; the job is made, or done, all the same."""

    def __init__(self, tracer: Tracer, recorder: Recorder | None) -> None:
        self._tracer = tracer
        self._recorder = recorder

    def create(self, create: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Job.create``: the job carries the context of the span that made it."""
        queue = kwargs.get("origin") or "default"
        with self._tracer.start_as_current_span(f"enqueue {queue}", kind=SpanKind.PRODUCER) as span:
            job = create(*args, **kwargs)
            try:
                span.set_attributes(_attributes(job, "enqueue", "create"))
                job.meta = {**job.meta, META_KEY: inject()}  # a new one: callers share theirs between jobs
            except Exception as error:
                log.failed("marking a job", error)
            return job

    def perform(self, perform: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Job.perform``: RQ swallows what a job raises, so it is noted here."""
        try:
            return perform(*args, **kwargs)
        except BaseException as error:
            record_error(error)
            raise

    def run_sync(self, run: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Queue.run_sync``: the job with its callbacks, in the process, and the context, that enqueued it."""
        job = args[0] if args else kwargs["job"]
        with self._consumed(job, otel_context.get_current()):
            return run(*args, **kwargs)

    def perform_job(
        self, perform: Callable[..., Any], worker: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``Worker.perform_job``: the job with its callbacks and what follows from it."""
        job = args[0] if args else kwargs["job"]
        try:
            with self._consumed(job, Context()) as span:
                done = perform(*args, **kwargs)
                if done is False and span is not None:
                    span.set_status(StatusCode.ERROR)
                return done
        finally:
            if worker.is_horse:  # it leaves by os._exit, which runs nothing at exit
                if self._recorder is not None:
                    self._recorder.drain()
                flush(FLUSH_SECONDS)

    def fork(self, fork: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Worker.fork_work_horse``: what the child performs is recorded there."""
        prepare()
        if self._recorder is not None:
            self._recorder.prepare()
        with following_forks():
            return fork(*args, **kwargs)

    def stopped(self, call: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The callback of a job that was stopped: its own process was killed, this is the worker's."""
        job = args[0] if job is None else job
        with self._consumed(job, Context()):
            entry = entry_of(otel_context.get_current())
            if entry is not None:
                entry.mark_incomplete(
                    "job_stopped", "the job was stopped: what it had executed is lost with its process"
                )
            return call(*args, **kwargs)

    def _consumed(self, job: Any, outside: Context) -> AbstractContextManager[Span | None]:
        """The job's context: a CONSUMER span below the span that made it, and a recording where it is traced."""
        return start_entry_span(
            job.meta.get(META_KEY) if isinstance(job.meta, dict) else None,
            outside,
            self._recorder,
            self._tracer,
            f"process {job.origin}",
            SpanKind.CONSUMER,
            _attributes(job, "process", "process"),
        )


def _attributes(job: Any, name: str, kind: str) -> dict[str, AttributeValue]:
    """OpenTelemetry's messaging conventions; RQ is not among the systems that they know."""
    return {
        "messaging.system": "rq",
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": job.origin or "default",
        "messaging.message.id": job.id,
        "messaging.rq.function": _function(job),
    }


def _function(job: Any) -> str:
    try:
        return job.func_name or ""
    except Exception:  # a job that cannot be read: RQ says so where it fails it
        return ""
