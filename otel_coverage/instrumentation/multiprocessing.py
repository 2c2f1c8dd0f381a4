"""Processes of ``multiprocessing`` that traced code starts, and tasks that it submits to pools of processes.

A ``multiprocessing.Process`` is sent the context of its start, and is recorded from its start to its end. A worker of a
pool outlives the request that happens to start it: it belongs to no entry, each of its tasks is sent a context instead.
"""

from __future__ import annotations

import concurrent.futures
import concurrent.futures.process
import multiprocessing.pool
import multiprocessing.process
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from multiprocessing import spawn
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider

from otel_coverage import __version__
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.propagation import finish_process, inject, is_traced, record_error, start_entry_span
from otel_coverage.instrumentation.subprocess import followed
from otel_coverage.instrumentation.threads import ContextCall
from otel_coverage.settings import Settings
from otel_coverage.tracing.export.provider import spool_from_here
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder

Install = Callable[[Settings], object]

_KEY = "_otel_coverage"  # an attribute of process objects, and a key of what a spawned child prepares itself with
_INITIALIZER = 2  # the position of the initializer among the arguments of both kinds of workers
_WORKERS = (concurrent.futures.process._process_worker, multiprocessing.pool.worker)  # type: ignore[attr-defined]

_hooks: _Hooks | None = None


def instrument_multiprocessing(
    patches: Patches, recorder: Recorder, provider: TracerProvider, install: Install
) -> None:
    """Have processes, and tasks of process pools, continue the context that started or submitted them.

    Args:
        patches: where the hooks are put.
        recorder: of this process.
        provider: makes the spans.
        install: a function at the top of its module, which a child calls to instrument itself as its parent is.
    """
    global _hooks
    if _hooks is not None:
        return
    _hooks = hooks = _Hooks(recorder, provider, install)
    patches.on_undo(_forget)
    patches.wrap(multiprocessing.process.BaseProcess, "start", hooks.start)
    patches.wrap(multiprocessing.process.BaseProcess, "_bootstrap", hooks.bootstrap)
    patches.wrap(spawn, "get_preparation_data", hooks.preparation_data)
    patches.wrap(spawn, "prepare", hooks.prepare)
    patches.wrap(concurrent.futures.ProcessPoolExecutor, "submit", hooks.submit)
    patches.wrap(multiprocessing.pool.Pool, "apply_async", hooks.apply_async)
    patches.wrap(multiprocessing.pool.Pool, "_guarded_task_generation", hooks.task_generation)


class SentContext:
    """A context as it is sent to a child. Unpickling it instruments the child, where nothing else did that before.

    Args:
        settings: of the parent.
        carrier: the headers that name the trace and its playback.
        install: instruments a process with settings.
    """

    def __init__(self, settings: Settings, carrier: dict[str, str], install: Install) -> None:
        self.settings = settings
        self.carrier = carrier
        self.install = install

    def __reduce__(self) -> tuple[Callable[..., SentContext], tuple[Settings, dict[str, str], Install]]:
        return _received, (self.settings, self.carrier, self.install)


class SentCall:
    """A function to be called by a worker process, in the context of its submission.

    Args:
        context: of the submission.
        function: what to call.
        must_flush: the worker may be killed as soon as it has answered, so its spans are sent before.
    """

    def __init__(self, context: SentContext, function: Callable[..., Any], *, must_flush: bool) -> None:
        self._context = context
        self._function = function
        self._must_flush = must_flush

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, in a span of its own that is recorded."""
        hooks = _hooks
        if hooks is None:
            return self._function(*args, **kwargs)
        try:
            with hooks.attached(self._context.carrier, self._function):
                try:
                    return self._function(*args, **kwargs)
                except BaseException as error:
                    record_error(error)
                    raise
        finally:
            if self._must_flush:
                finish_process(hooks.recorder)


class _Hooks:
    """The wrappers. A failure in them is logged and counted; the process starts all the same."""

    def __init__(self, recorder: Recorder, provider: TracerProvider, install: Install) -> None:
        self.recorder = recorder
        self._tracer = trace.get_tracer("otel_coverage", __version__, provider)
        self._install = install
        self._preparing: ExitStack | None = None

    def attached(self, carrier: dict[str, str], function: object) -> AbstractContextManager[Span | None]:
        """A span below the carrier's, and a recording, for what this process calls ``function`` for."""
        return start_entry_span(
            carrier,
            Context(),
            self.recorder,
            self._tracer,
            f"process {_name(function)}",
            SpanKind.INTERNAL,
            {"process.pid": os.getpid()},
        )

    def start(self, start: Callable[..., Any], process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Process.start``: the process is sent the context; of a pool's worker, only its initializer is."""
        try:
            if is_traced(self.recorder):
                if not _is_worker(process):
                    setattr(process, _KEY, self._context())
                elif process._args[_INITIALIZER] is not None:
                    before, after = process._args[:_INITIALIZER], process._args[_INITIALIZER + 1 :]
                    process._args = (*before, self._call(process._args[_INITIALIZER], must_flush=True), *after)
        except Exception as error:
            log.failed("passing a context to a process", error)
        with followed():
            return start(*args, **kwargs)

    def preparation_data(
        self, describe: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``spawn.get_preparation_data``: the child imports the main module in the context of its start."""
        data = describe(*args, **kwargs)
        try:
            if is_traced(self.recorder):
                data[_KEY] = inject()  # plain text: the child has not imported this package yet
        except Exception as error:
            log.failed("passing a context to a process", error)
        return data

    def prepare(self, prepare: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``spawn.prepare``: the child is recorded from here on, until :meth:`bootstrap` knows what it is for."""
        data = args[0] if args else kwargs["data"]
        if _KEY in data and self._preparing is None:
            self._preparing = ExitStack()
            self._preparing.enter_context(self.attached(data[_KEY], spawn.prepare))
        return prepare(*args, **kwargs)

    def bootstrap(self, run: Callable[..., Any], process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Process._bootstrap``: all that a child executes; a fork leaves by ``os._exit`` right after it."""
        self.recorder.end_startup(began=False)  # what a process of multiprocessing is for is a job
        spool_from_here()  # a worker of a pool may be killed at any time
        try:
            with ExitStack() as life:
                self._begin(process, life)
                code = run(*args, **kwargs)
                span = trace.get_current_span()
                span.set_attribute("process.exit.code", code)
                if code != 0:
                    span.set_status(StatusCode.ERROR)
                return code
        finally:
            finish_process(self.recorder)

    def submit(self, submit: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``ProcessPoolExecutor.submit``."""
        return submit(*self._sent(args, must_flush=False), **kwargs)

    def apply_async(self, apply: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Pool.apply_async``."""
        if not args and "func" in kwargs:
            kwargs = dict(kwargs)
            args = (kwargs.pop("func"),)
        return apply(*self._pooled(pool, args), **kwargs)

    def task_generation(
        self, generate: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``Pool._guarded_task_generation``: makes the tasks of every kind of ``Pool.map``, one for each chunk."""
        number, *others = args
        return generate(number, *self._pooled(pool, tuple(others)), **kwargs)

    def _begin(self, process: Any, life: ExitStack) -> None:
        context = process.__dict__.pop(_KEY, None)
        prepared, self._preparing = self._preparing, None
        try:
            if isinstance(context, SentContext) and prepared is not None:
                life.push(prepared)
                trace.get_current_span().update_name(f"process {_name(process._target or type(process))}")
            elif isinstance(context, SentContext):
                life.enter_context(self.attached(context.carrier, process._target or type(process)))
            else:
                if prepared is not None:
                    prepared.close()
                if is_traced(self.recorder):  # a forked worker begins in the context that its parent was in
                    life.callback(otel_context.detach, otel_context.attach(Context()))
        except Exception as error:
            log.failed("continuing a context in a process", error)

    def _pooled(self, pool: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if isinstance(pool, multiprocessing.pool.ThreadPool):
            return (ContextCall(args[0]), *args[1:]) if args else args
        return self._sent(args, must_flush=True)  # leaving a pool's with statement kills its workers

    def _sent(self, args: tuple[Any, ...], *, must_flush: bool) -> tuple[Any, ...]:
        try:
            if args and is_traced(self.recorder):
                return (self._call(args[0], must_flush=must_flush), *args[1:])
        except Exception as error:
            log.failed("passing a context to a worker", error)
        return args

    def _call(self, function: Callable[..., Any], *, must_flush: bool) -> SentCall:
        return SentCall(self._context(), function, must_flush=must_flush)

    def _context(self) -> SentContext:
        return SentContext(self.recorder.settings, inject(), self._install)


def _received(settings: Settings, carrier: dict[str, str], install: Install) -> SentContext:
    """Unpickle a context, and instrument this process if nothing did: its parent may have been instrumented in code."""
    if _hooks is None:
        try:
            install(settings)
        except Exception as error:
            log.failed("instrumenting a child process", error)
    return SentContext(settings, carrier, install)


def _forget() -> None:
    global _hooks
    _hooks = None


def _is_worker(process: Any) -> bool:
    return any(process._target is worker for worker in _WORKERS)


def _name(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))
