"""What of RQ is hooked, in all of its versions."""

from __future__ import annotations

import sys
from collections.abc import Collection
from types import ModuleType
from typing import Any

from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]
from opentelemetry.trace import TracerProvider

from otel_coverage import __version__
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.rq.cancellation import CancellationHooks
from otel_coverage.instrumentation.rq.consumer import ConsumerHooks
from otel_coverage.instrumentation.rq.producer import ProducerHooks
from otel_coverage.instrumentation.rq.queueing import Queueings
from otel_coverage.instrumentation.rq.worker import WorkerHooks
from otel_coverage.tracing.recorder import Recorder


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
        recorder: Recorder | None = kwargs.get("recorder")
        self._patches = Patches()
        queueings = Queueings(tracer, recorder)
        consumer = ConsumerHooks(tracer, recorder)
        worker = WorkerHooks(recorder, self._patches, queueings, consumer)
        self._hook_producers(ProducerHooks(queueings), rq.job.Job, rq.queue.Queue)
        self._hook_cancellation(CancellationHooks(tracer, recorder, queueings), rq.job.Job, rq.queue.Queue)
        self._hook_consumers(consumer, rq.job.Job, rq.queue.Queue, sys.modules[rq.worker.Worker.__module__])
        self._hook_workers(worker, rq.worker)

    def _hook_producers(self, hooks: ProducerHooks, job: type, queue: type) -> None:
        for name in ("create", "restore", "to_dict", "save", "register_dependency"):
            self._patches.wrap(job, name, getattr(hooks, name))
        for name in ("_enqueue_job", "_enqueue_rate_limited_job"):
            if hasattr(queue, name):  # the latter since RQ 3
                self._patches.wrap(queue, name, hooks.enqueue_job)
        self._patches.wrap(queue, "schedule_job", hooks.schedule_job)

    def _hook_cancellation(self, hooks: CancellationHooks, job: type, queue: type) -> None:
        self._patches.wrap(job, "cancel", hooks.cancel)
        self._patches.wrap(job, "delete", hooks.cancel)
        self._patches.wrap(queue, "empty", hooks.empty)

    def _hook_consumers(self, hooks: ConsumerHooks, job: type, queue: type, worker: ModuleType) -> None:
        self._patches.wrap(job, "prepare_for_execution", hooks.prepare_for_execution)
        self._patches.wrap(job, "perform", hooks.perform)
        self._patches.wrap(queue, "run_sync", hooks.run_sync)
        owner = job if hasattr(job, "execute_stopped_callback") else worker  # since RQ 3
        self._patches.wrap(owner, "execute_stopped_callback", hooks.execute_stopped_callback)

    def _hook_workers(self, hooks: WorkerHooks, worker: ModuleType) -> None:
        for name in ("perform_job", "work", "fork_work_horse"):  # a class's own are hooked when the worker is made
            self._patches.wrap(worker.Worker, name, getattr(hooks, name))
        self._patches.wrap(worker.Worker, "__init__", hooks.make_worker)
        if hasattr(worker, "SpawnWorker"):  # since RQ 2.2; it starts its work horse by os.spawnv, or os.posix_spawn
            self._patches.wrap(worker.SpawnWorker, "fork_work_horse", hooks.fork_work_horse)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._patches.undo()
