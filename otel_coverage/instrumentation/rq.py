"""RQ: a PRODUCER span where a job is made, a CONSUMER span around its execution, and the context between them.

Every version of RQ, and rq-scheduler, makes jobs in ``Job.create``; workers of every class execute them in
``perform_job``, queues with ``is_async=False`` in ``run_sync``. ``job.meta`` carries the context, under one key.
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
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.propagation import FLUSH_SECONDS, inject, record_error, start_entry_span
from otel_coverage.instrumentation.subprocess import followed
from otel_coverage.tracing.context import entry_of
from otel_coverage.tracing.log import log
from otel_coverage.tracing.provider import flush, prepare
from otel_coverage.tracing.recorder import Recorder

META_KEY = "otel_coverage"


class RQInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instruments ``rq``. Without a recorder it makes plain spans.

    ``instrument()`` takes ``tracer_provider`` and ``recorder``, both optional.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """The supported versions."""
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
        self._patches.wrap(rq.worker.Worker, "fork_work_horse", hooks.fork_work_horse)
        if hasattr(rq.worker, "SpawnWorker"):  # since RQ 2.2; it starts its work horse by os.spawnv, or os.posix_spawn
            self._patches.wrap(rq.worker.SpawnWorker, "fork_work_horse", hooks.fork_work_horse)
        if hasattr(rq.job.Job, "execute_stopped_callback"):
            self._patches.wrap(rq.job.Job, "execute_stopped_callback", hooks.execute_stopped_callback)
        else:  # since RQ 3
            worker = sys.modules[rq.worker.Worker.__module__]
            self._patches.wrap(worker, "execute_stopped_callback", hooks.execute_stopped_callback)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._patches.undo()


class _Hooks:
    """The wrappers. A failure in them is logged and counted; the job is made, or performed, all the same."""

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
                log.failed("passing a context to a job", error)
            return job

    def perform(self, perform: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Job.perform``: the last that sees the exception of a job, which RQ handles."""
        try:
            return perform(*args, **kwargs)
        except BaseException as error:
            record_error(error)
            raise

    def run_sync(self, run: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Queue.run_sync``: the job with its callbacks, in the process and the context that enqueued it."""
        job = args[0] if args else kwargs["job"]
        with self._consuming(job, otel_context.get_current()):
            return run(*args, **kwargs)

    def perform_job(
        self, perform: Callable[..., Any], worker: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``Worker.perform_job``: the job with its callbacks and what follows from it."""
        job = args[0] if args else kwargs["job"]
        try:
            with self._consuming(job, Context()) as span:
                done = perform(*args, **kwargs)
                if done is False and span is not None:
                    span.set_status(StatusCode.ERROR)
                return done
        finally:
            if worker.is_horse:  # it leaves by os._exit, which runs nothing at exit
                if self._recorder is not None:
                    self._recorder.drain()
                flush(FLUSH_SECONDS)

    def fork_work_horse(self, fork: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Worker.fork_work_horse``: the work horse records the job that it performs."""
        prepare()
        if self._recorder is not None:
            self._recorder.prepare()
        with followed():
            return fork(*args, **kwargs)

    def execute_stopped_callback(
        self, call: Callable[..., Any], job: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The callback of a stopped job: it runs in the worker, since the job's own process was killed."""
        job = args[0] if job is None else job
        with self._consuming(job, Context()):
            entry = entry_of(otel_context.get_current())
            if entry is not None:
                entry.mark_incomplete(
                    "job_stopped", "the job was stopped: what it had executed was lost with its process"
                )
            return call(*args, **kwargs)

    def _consuming(self, job: Any, outside: Context) -> AbstractContextManager[Span | None]:
        """A CONSUMER span below the span that made the job, and a recording where the job is traced."""
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
    """The attributes of OpenTelemetry's messaging conventions, which have no value of their own for RQ."""
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
    except Exception:  # its data cannot be deserialized, which RQ reports when it fails the job
        return ""
