"""Processes of ``multiprocessing`` that traced code starts, and tasks that it hands to pools of them.

A ``multiprocessing.Process`` carries the trace and the playback with what is pickled, and is recorded from its start to
its end. Workers of pools serve whoever asks: each task, and each initializer, carries its own, and the worker belongs
to nobody.
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
from otel_coverage.instrumentation.commands import following_forks
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.propagation import FLUSH_SECONDS, inject, is_traced, record_error, start_entry_span
from otel_coverage.instrumentation.threads import Carried
from otel_coverage.settings import Settings
from otel_coverage.tracing.log import log
from otel_coverage.tracing.provider import flush
from otel_coverage.tracing.recorder import Recorder

_KEY = "_otel_coverage"  # in a process object, and among what a spawned child prepares itself from
_INITIALIZER = 2  # the position of the initializer in what both kinds of workers are started with
_WORKERS = (concurrent.futures.process._process_worker, multiprocessing.pool.worker)  # type: ignore[attr-defined]

_patches = Patches()
_hooks: _Hooks | None = None


def hook_children(recorder: Recorder, provider: TracerProvider) -> None:
    """Have the processes that traced code starts continue its trace. Doing it twice changes nothing."""
    global _hooks
    if _hooks is not None:
        return
    _hooks = hooks = _Hooks(recorder, provider)
    _patches.wrap(multiprocessing.process.BaseProcess, "start", hooks.start)
    _patches.wrap(multiprocessing.process.BaseProcess, "_bootstrap", hooks.bootstrap)
    _patches.wrap(spawn, "get_preparation_data", hooks.preparation_data)
    _patches.wrap(spawn, "prepare", hooks.prepare)
    _patches.wrap(concurrent.futures.ProcessPoolExecutor, "submit", hooks.submit)
    _patches.wrap(multiprocessing.pool.Pool, "apply_async", hooks.pool_task)
    _patches.wrap(multiprocessing.pool.Pool, "_guarded_task_generation", hooks.pool_tasks)


def release_children() -> None:
    """Undo :func:`hook_children`."""
    global _hooks
    _hooks = None
    _patches.undo()


class Continuation:
    """What a child continues; where it arrives, the child is wired as its parent is, if nothing else did that.

    Args:
        settings: of the parent.
        carrier: of the context that the child belongs to.
    """

    def __init__(self, settings: Settings, carrier: dict[str, str]) -> None:
        self.settings = settings
        self.carrier = carrier

    def __reduce__(self) -> tuple[Callable[..., Continuation], tuple[Settings, dict[str, str]]]:
        return _arrived, (self.settings, self.carrier)


class Task:
    """A function as a worker process is to call it: under the trace of whoever asked for it.

    Args:
        continuation: what the call belongs to.
        function: what to call.
        must_flush: the worker may be killed as soon as it has answered, so its spans leave before that.
    """

    def __init__(self, continuation: Continuation, function: Callable[..., Any], *, must_flush: bool) -> None:
        self._continuation = continuation
        self._function = function
        self._must_flush = must_flush

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it, recorded in a span of its own."""
        if _hooks is None:
            return self._function(*args, **kwargs)
        try:
            with _hooks.attached(self._continuation, self._function):
                try:
                    return self._function(*args, **kwargs)
                except BaseException as error:
                    record_error(error)
                    raise
        finally:
            if self._must_flush:
                flush(FLUSH_SECONDS)


class _Hooks:
    """The wrappers. What fails in them is counted; the process starts all the same."""

    def __init__(self, recorder: Recorder, provider: TracerProvider) -> None:
        self._recorder = recorder
        self._tracer = trace.get_tracer("otel_coverage", __version__, provider)
        self._preparing: ExitStack | None = None

    def attached(self, continuation: Continuation, function: object) -> AbstractContextManager[Span | None]:
        """What this process was asked for: a span, and a recording."""
        return start_entry_span(
            continuation.carrier,
            Context(),
            self._recorder,
            self._tracer,
            f"process {_name(function)}",
            SpanKind.INTERNAL,
            {"process.pid": os.getpid()},
        )

    def start(self, start: Callable[..., Any], process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Process.start``: the process carries the context; of a pool's worker its initializer does."""
        try:
            if is_traced(self._recorder):
                if not _serves(process):
                    setattr(process, _KEY, self._continuation())
                elif process._args[_INITIALIZER] is not None:
                    before, after = process._args[:_INITIALIZER], process._args[_INITIALIZER + 1 :]
                    process._args = (*before, self._task(process._args[_INITIALIZER], must_flush=True), *after)
        except Exception as error:
            log.failed("handing a trace to a process", error)
        with following_forks():
            return start(*args, **kwargs)

    def preparation_data(
        self, describe: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``spawn.get_preparation_data``: a child that imports the main module anew does so for whoever starts it."""
        data = describe(*args, **kwargs)
        try:
            if is_traced(self._recorder):
                data[_KEY] = inject()  # plain text: the child may know nothing of us yet
        except Exception as error:
            log.failed("handing a trace to a process", error)
        return data

    def prepare(self, prepare: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``spawn.prepare``: from here on the child is recorded, until its process object says what it is."""
        data = args[0] if args else kwargs["data"]
        if _KEY in data and self._preparing is None:
            self._preparing = ExitStack()
            self._preparing.enter_context(
                self.attached(Continuation(self._recorder.settings, data[_KEY]), spawn.prepare)
            )
        return prepare(*args, **kwargs)

    def bootstrap(self, run: Callable[..., Any], process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Process._bootstrap``: all of a child's life; a fork leaves after it by ``os._exit``."""
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
            self._recorder.drain()
            flush(FLUSH_SECONDS)

    def submit(self, submit: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``ProcessPoolExecutor.submit``."""
        return submit(*self._tasked(args, must_flush=False), **kwargs)

    def pool_task(self, apply: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Pool.apply_async``."""
        if not args and "func" in kwargs:
            kwargs = dict(kwargs)
            args = (kwargs.pop("func"),)
        return apply(*self._pooled(pool, args), **kwargs)

    def pool_tasks(self, generate: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What all kinds of ``Pool.map`` make their tasks with: one for each chunk."""
        number, *others = args
        return generate(number, *self._pooled(pool, tuple(others)), **kwargs)

    def _begin(self, process: Any, life: ExitStack) -> None:
        continuation = process.__dict__.pop(_KEY, None)
        prepared, self._preparing = self._preparing, None
        try:
            if isinstance(continuation, Continuation) and prepared is not None:
                life.push(prepared)
                trace.get_current_span().update_name(f"process {_name(process._target or type(process))}")
            elif isinstance(continuation, Continuation):
                life.enter_context(self.attached(continuation, process._target or type(process)))
            else:
                if prepared is not None:
                    prepared.close()
                if is_traced(self._recorder):  # a fork begins with what its parent was doing in its context
                    life.callback(otel_context.detach, otel_context.attach(Context()))
        except Exception as error:
            log.failed("continuing a trace in a process", error)

    def _pooled(self, pool: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if isinstance(pool, multiprocessing.pool.ThreadPool):
            return (Carried(args[0]), *args[1:]) if args else args
        return self._tasked(args, must_flush=True)  # to leave a pool's with statement kills its workers

    def _tasked(self, args: tuple[Any, ...], *, must_flush: bool) -> tuple[Any, ...]:
        try:
            if args and is_traced(self._recorder):
                return (self._task(args[0], must_flush=must_flush), *args[1:])
        except Exception as error:
            log.failed("handing a trace to a worker", error)
        return args

    def _task(self, function: Callable[..., Any], *, must_flush: bool) -> Task:
        return Task(self._continuation(), function, must_flush=must_flush)

    def _continuation(self) -> Continuation:
        return Continuation(self._recorder.settings, inject())


def _arrived(settings: Settings, carrier: dict[str, str]) -> Continuation:
    """What unpickles in a child: the first that it hears of us, where nothing but its parent's code wired anything."""
    if _hooks is None:
        from otel_coverage.instrumentation.setup import wire

        try:
            wire(settings)
        except Exception as error:
            log.failed("wiring a child process", error)
    return Continuation(settings, carrier)


def _serves(process: Any) -> bool:
    """Whether it is a pool's worker, that serves many."""
    return any(process._target is worker for worker in _WORKERS)


def _name(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))
