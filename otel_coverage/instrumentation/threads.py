"""Threads and greenlets that traced code starts, and what it submits to pools of threads.

Each runs in the context of its start or submission, and its entry waits for it. So does what is called when a future is
done, which a thread of the pool calls. OpenTelemetry's threading
instrumentation carries contexts, too, but not into a ``run()`` method, and it does not know when a thread is done.
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from opentelemetry import context as otel_context

from otel_coverage.instrumentation.patch import Patches
from otel_coverage.tracing.context import entry_awaiting_span, entry_of
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.pending import PendingWork
from otel_coverage.tracing.recorder import Recorder, installed

_CALLING_BACK_FOR_ALL = frozenset({"asyncio", "concurrent", "otel_coverage"})


def instrument_threads(patches: Patches, recorder: Recorder) -> None:
    """Have threads, and tasks of thread pools, run in the context that started or submitted them."""
    hooks = _Hooks(recorder)
    patches.wrap(threading.Thread, "start", hooks.start)
    if "start" in vars(threading.Timer):  # put there by OpenTelemetry's threading instrumentation
        patches.wrap(threading.Timer, "start", hooks.start)
    patches.wrap(ThreadPoolExecutor, "submit", hooks.submit)
    patches.wrap(Future, "add_done_callback", hooks.add_done_callback)
    patches.wrap(_thread, "start_new_thread", hooks.start_new_thread)  # threading holds a reference of its own


def instrument_worker_threads(patches: Patches, backend: Any) -> None:
    """Have functions that anyio calls in its worker threads run in the context that gave them to it."""
    patches.wrap(backend.AsyncIOBackend, "run_sync_in_worker_thread", _in_worker_thread)


def instrument_greenlets(patches: Patches, recorder: Recorder, gevent: Any) -> None:
    """Have greenlets of gevent run in the context that spawned them: gevent starts each with an empty one."""
    callback = partial(_on_spawn, recorder)
    gevent.Greenlet.add_spawn_callback(callback)
    patches.on_undo(partial(gevent.Greenlet.remove_spawn_callback, callback))


class ContextCall:
    """A function to be called by another thread, any number of times, in the context in which this object was made.

    Args:
        function: what to call.
        work: the pending work that the call is, where the entry waits for it already.
    """

    def __init__(self, function: Callable[..., Any], work: PendingWork | None = None) -> None:
        self._function = function
        self._context = otel_context.get_current()
        self._entry = entry_of(self._context)
        self._awaiting = entry_awaiting_span.get()
        self._work = work
        for name in ("__name__", "__qualname__"):  # for whoever displays it
            with suppress(Exception):  # a function may be any object
                setattr(self, name, getattr(function, name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, recorded for the entry of the context."""
        token = otel_context.attach(self._context)
        awaiting = entry_awaiting_span.set(self._awaiting)  # an adapter of Flask's to ASGI calls it in a thread
        recorder, entry = installed(), self._entry
        try:
            if entry is None or recorder is None:
                return self._function(*args, **kwargs)
            work = self._work or PendingWork(self._function, is_application=True)
            work.begin()
            recorder.add_pending(entry, work)
            try:
                with recorder.follow(entry):
                    return self._function(*args, **kwargs)
            finally:
                recorder.pending_done(entry, work)
        finally:
            entry_awaiting_span.reset(awaiting)
            otel_context.detach(token)


class _Hooks:
    """The wrappers. A failure in them is logged and counted; the thread starts all the same."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def start(self, start: Callable[..., Any], thread: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Thread.start``: the thread's ``run()`` is called in the current context."""
        entry = entry_of(otel_context.get_current())
        if entry is None or thread.ident is not None:
            return start(*args, **kwargs)
        work = self._add_pending(entry, lambda: _run_in_context(thread))
        try:
            return start(*args, **kwargs)
        except BaseException:
            self._pending_done(entry, work)
            raise

    def start_new_thread(self, start: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``_thread.start_new_thread``, where it is called directly."""
        entry = entry_of(otel_context.get_current())
        work, args = self._in_context(entry, args)
        try:
            return start(*args, **kwargs)
        except BaseException:
            self._pending_done(entry, work)
            raise

    def submit(self, submit: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``ThreadPoolExecutor.submit``: the function is called in the current context."""
        entry = entry_of(otel_context.get_current())
        work, args = self._in_context(entry, args)
        try:
            future = submit(*args, **kwargs)
        except BaseException:
            self._pending_done(entry, work)
            raise
        self._done_with(future, entry, work)
        return future

    def add_done_callback(self, add: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Future.add_done_callback``: the function is called in the current context, whoever completes the future."""
        entry = entry_of(otel_context.get_current())
        if entry is None or len(args) != 1 or _module_of(args[0]).partition(".")[0] in _CALLING_BACK_FOR_ALL:
            return add(*args, **kwargs)
        _, args = self._in_context(entry, args)
        return add(*args, **kwargs)

    def _add_pending(self, entry: Entry, make: Callable[[], PendingWork | None]) -> PendingWork | None:
        """The work that ``make`` returns, which the entry waits for from now on; None where it need not wait."""
        try:
            work = make()
        except Exception as error:
            log.failed("following a thread", error)
            entry.mark_incomplete("hook_failed", f"a thread that it started could not be followed: {error}")
            return None
        if work is not None:
            self._recorder.add_pending(entry, work)
        return work

    def _in_context(self, entry: Entry | None, args: tuple[Any, ...]) -> tuple[PendingWork | None, tuple[Any, ...]]:
        """The pending work, and the arguments with their first, a function, bound to the current context."""
        if entry is None or not args:
            return None, args
        work = self._add_pending(entry, lambda: PendingWork(args[0]))
        return work, args if work is None else (ContextCall(args[0], work), *args[1:])

    def _pending_done(self, entry: Entry | None, work: PendingWork | None) -> None:
        if entry is not None and work is not None:
            self._recorder.pending_done(entry, work)

    def _done_with(self, future: Any, entry: Entry | None, work: PendingWork | None) -> None:
        """End the work with its future at the latest: a future that is cancelled never calls its function."""
        if work is not None:
            future.add_done_callback(lambda _: self._pending_done(entry, work))


def _module_of(function: object) -> str:
    return str(getattr(function, "__module__", None) or "")


def _in_worker_thread(run: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args and entry_of(otel_context.get_current()) is not None:
        args = ContextCall(args[0]), *args[1:]
    return run(*args, **kwargs)


def _run_in_context(thread: Any) -> PendingWork | None:
    """Bind the thread's ``run()`` to the current context; None, and nothing done, where the thread serves everybody."""
    work = PendingWork(_function_of(thread))
    if work.serves_all:
        return None
    own = vars(thread).get("run")
    call = ContextCall(thread.run, work)

    def run() -> None:
        if own is None:
            del thread.run
        else:
            thread.run = own
        call()

    thread.run = run
    return work


def _function_of(thread: threading.Thread) -> Callable[..., object]:
    """What the thread is for: its target, a timer's function, or a ``run()`` of its own."""
    if isinstance(thread, threading.Timer):
        return thread.function
    target = getattr(thread, "_target", None)
    return target if callable(target) else thread.run


def _on_spawn(recorder: Recorder, greenlet: Any) -> None:
    entry = entry_of(otel_context.get_current())
    function = greenlet._run
    # under gevent's monkey patches a thread is a greenlet, too, and followed as a thread
    if entry is None or getattr(function, "__module__", None) == "threading":
        return
    try:
        work = PendingWork(function)
        greenlet._run = ContextCall(function, work)
        recorder.add_pending(entry, work)
    except Exception as error:
        log.failed("following a greenlet", error)
        entry.mark_incomplete("hook_failed", f"a greenlet that it spawned could not be followed: {error}")
