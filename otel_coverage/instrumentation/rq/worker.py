"""Workers of every class, with the methods that a class has of its own, and the processes forked for a job each."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span, StatusCode

from otel_coverage.instrumentation.patch import Patches, arguments
from otel_coverage.instrumentation.propagation import finish_process, record_error
from otel_coverage.instrumentation.routes import register
from otel_coverage.instrumentation.rq.call import begin, call_of
from otel_coverage.instrumentation.rq.connection import described_driver
from otel_coverage.instrumentation.rq.consumer import ConsumerHooks
from otel_coverage.instrumentation.rq.messaging import entry_name
from otel_coverage.instrumentation.rq.queueing import Queueings
from otel_coverage.instrumentation.subprocess import followed
from otel_coverage.tracing.context import entry_of
from otel_coverage.tracing.export.provider import prepare, spool_from_here, wait_for_sender
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder

LEAVE_SECONDS = 2.0

_OVERRIDABLE = ("execute_job", "fork_work_horse", "main_work_horse", "perform_job")
_OUTERMOST = ("perform_job",)
_OUTERMOST_IN_WORK_HORSE = ("main_work_horse", "perform_job")
_IN_WORK_HORSE = ("main_work_horse", "setup_work_horse_signals")  # run there before ``perform_job``

_performed: ContextVar[Any] = ContextVar("otel_coverage_performed", default=None)
"""The job whose performance is being recorded."""
_forked: ContextVar[Any] = ContextVar("otel_coverage_forked", default=None)
"""The job that a work horse is being forked for."""


class WorkerHooks:
    """A failure in them is logged and counted; the worker goes on all the same.

    A method that a class overrides is hooked in that class, so that what it does around ``super()`` is inside of the
    hook as well, and what does without ``super()``. The job is what ``perform_job`` runs, and what a class of its own
    runs in the work horse before and after it. The rest belongs to the worker: ``execute_job``, ``fork_work_horse``,
    ``monitor_work_horse``, ``kill_horse``, and the handlers of a job whose work horse was killed.
    """

    def __init__(
        self, recorder: Recorder | None, patches: Patches, queueings: Queueings, consumer: ConsumerHooks
    ) -> None:
        self._recorder = recorder
        self._patches = patches
        self._queueings = queueings
        self._consumer = consumer

    def make_worker(self, make: Callable[..., Any], worker: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """``Worker.__init__``: its class may have methods of its own, where RQ's are hooked otherwise."""
        try:
            for name in _OVERRIDABLE:
                if hasattr(worker, name):
                    self._patches.wrap(type(worker), name, getattr(self, name))
        except Exception as error:
            log.failed("instrumenting a class of workers", error)
        make(*args, **kwargs)

    def work(self, work: Callable[..., Any], worker: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Worker.work``: this process is about to fork work horses, so it opens no connection that they would share.

        Whoever ends the container with the worker gets ``LEAVE_SECONDS`` for the spans of the last jobs.
        """
        owner = os.getpid()
        prepare()
        try:
            return work(*args, **kwargs)
        finally:
            if os.getpid() == owner:
                wait_for_sender(LEAVE_SECONDS)

    def execute_job(self, execute: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Worker.execute_job``: with the first job the start of this process is over, wherever it is performed."""
        if self._recorder is not None:
            self._recorder.stop_startup()
        return execute(*args, **kwargs)

    def fork_work_horse(
        self, fork: Callable[..., Any], worker: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``Worker.fork_work_horse``: the work horse records the job that it performs."""
        (job,) = arguments(args, kwargs, job=0)
        if _forked.get() is job:  # by the method of a subclass, which has called the one of its base class
            with _connecting(fork, worker):
                return fork(*args, **kwargs)
        prepare()
        if self._recorder is not None:
            self._recorder.prepare()
        for names in (_IN_WORK_HORSE, _OUTERMOST_IN_WORK_HORSE):
            _own_methods(worker.__class__, names)  # the work horse need not look for them
        _note_function(job)
        token = _forked.set(job)
        try:
            with self._consumer.prepared(job), _connecting(fork, worker), followed():
                result = fork(*args, **kwargs)
        finally:
            _forked.reset(token)
        begin(job)  # this process saves the job, too, when its work horse was killed
        return result

    def main_work_horse(
        self, main: Callable[..., Any], worker: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``Worker.main_work_horse``: all of this process is the job's, where its class says what it does before.

        Where it does not, RQ's method does no more than call ``perform_job``.
        """
        if not _own_methods(worker.__class__, _IN_WORK_HORSE):
            return main(*args, **kwargs)
        (job,) = arguments(args, kwargs, job=0)
        if _performed.get() is job:
            return main(*args, **kwargs)
        with ExitStack() as performance:
            performance.enter_context(self._performing(worker, job, is_horse=True))
            self._before_exit(performance.close)
            return main(*args, **kwargs)

    def perform_job(
        self, perform: Callable[..., Any], worker: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``Worker.perform_job``: the job with its callbacks and what follows from it."""
        (job,) = arguments(args, kwargs, job=0)
        if _performed.get() is job:  # by the method of a subclass, or of a work horse, which has called this one
            return perform(*args, **kwargs)
        with self._performing(worker, job, is_horse=worker.is_horse) as span:
            done = perform(*args, **kwargs)
            if done is False and span is not None:
                span.set_status(StatusCode.ERROR)
            return done

    @contextmanager
    def _performing(self, worker: Any, job: Any, *, is_horse: bool) -> Iterator[Span | None]:
        """The performance of a job, from the outermost method that is hooked."""
        call = call_of(job)
        if call is not None and call.begun:  # what queued it again is not instrumented
            queueing = self._queueings.begin(job, job.origin or "default", "enqueue", "producer")
            if queueing is not None:
                queueing.end(None)
        if is_horse:
            spool_from_here()
        token = _performed.set(job)
        try:
            with self._consumer.consuming(job, Context()) as span:
                self._check_is_outermost(worker, is_horse=is_horse)
                try:
                    yield span
                except BaseException as error:  # raised by a method of the class's own: RQ's raise none
                    record_error(error)
                    raise
        finally:
            _performed.reset(token)
            if is_horse:  # it leaves by os._exit, which runs nothing at exit
                finish_process(self._recorder)

    def _before_exit(self, action: Callable[[], object]) -> None:
        """Call ``action`` before this process ends by ``os._exit``, as work horses do."""
        owner = os.getpid()

        def leave(leave: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if os.getpid() == owner:
                try:
                    action()
                except Exception as error:
                    log.failed("ending a job", error)
            return leave(*args, **kwargs)

        self._patches.wrap(os, "_exit", leave)

    def _check_is_outermost(self, worker: Any, *, is_horse: bool) -> None:
        """Mark the entry where the worker was made before it was instrumented, and its class does more than RQ's."""
        entry = entry_of(otel_context.get_current())
        if entry is None:
            return
        for definer, name in _own_methods(worker.__class__, _OUTERMOST_IN_WORK_HORSE if is_horse else _OUTERMOST):
            if (definer, name) not in self._patches:
                entry.mark_incomplete(
                    "worker_outside",
                    f"{definer.__qualname__}.{name} ran outside of the recording: call otel_coverage.instrument() "
                    "before the worker is made",
                )


def _note_function(job: Any) -> None:
    """Whoever has queued the job, and whether it is traced or not: its function is one that is queued."""
    call = call_of(job)
    if call is not None and call.function:
        register.queued(entry_name(job, call.function)[0], at_once=spool_from_here())  # else it would open a connection


def _connecting(fork: Callable[..., Any], worker: Any) -> AbstractContextManager[None]:
    """Around RQ's own method that forks: what is known ahead of the connection that the work horse opens.

    Other methods may pass the arguments of connections on, as that of ``SpawnWorker`` does.
    """
    name, module = getattr(fork, "__qualname__", ""), getattr(fork, "__module__", None) or ""
    is_rqs = name == "Worker.fork_work_horse" and module.partition(".")[0] == "rq"
    return described_driver(worker) if is_rqs else nullcontext()


@functools.lru_cache(maxsize=16)
def _own_methods(kind: type, names: tuple[str, ...]) -> tuple[tuple[type, str], ...]:
    """Those of the methods of a class of workers that are not RQ's, with the classes that define them."""
    definers = [(base, name) for name in names for base in kind.__mro__ if name in vars(base)]
    nearest = {name: base for base, name in reversed(definers)}
    return tuple((base, name) for name, base in nearest.items() if base.__module__.partition(".")[0] != "rq")
