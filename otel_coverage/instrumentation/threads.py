"""Threads that traced code starts, and what it asks pools of threads to do: each runs for whoever asked, to its end.

OpenTelemetry's threading instrumentation carries contexts as well, but not into a ``run()`` of one's own, and it does
not know when a thread is done.
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from opentelemetry import context as otel_context

from otel_coverage.instrumentation.patch import Patches
from otel_coverage.tracing.context import entry_of
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.pending import PendingWork
from otel_coverage.tracing.recorder import Recorder

_patches = Patches()
_hooks: _Hooks | None = None


def hook_threads(recorder: Recorder) -> None:
    """Have threads run for who started them. Doing it twice changes nothing."""
    global _hooks
    if _hooks is None:
        _hooks = _Hooks(recorder)
        _patches.wrap(threading.Thread, "start", _hooks.start)
        if "start" in vars(threading.Timer):  # OpenTelemetry's instrumentation puts one there
            _patches.wrap(threading.Timer, "start", _hooks.start)
        _patches.wrap(ThreadPoolExecutor, "submit", _hooks.submit)
        _patches.wrap(_thread, "start_new_thread", _hooks.start_new)  # threading has its own name for it


def hook_event_loops(asyncio: Any) -> None:
    """The same for what is handed to an event loop that runs in another thread."""
    if _hooks is not None:
        for module in (asyncio, asyncio.tasks):
            _patches.wrap(module, "run_coroutine_threadsafe", _hooks.run_coroutine)


def is_following() -> bool:
    """Whether threads run for who started them."""
    return _hooks is not None


def release_threads() -> None:
    """Undo :func:`hook_threads`."""
    global _hooks
    _hooks = None
    _patches.undo()


class Carried:
    """A function as another thread is to call it, any number of times: in the context of whoever asked for it.

    Args:
        function: what to call.
        work: what the call is known by, where there is to be one and somebody waits for it already.
    """

    def __init__(self, function: Callable[..., Any], work: PendingWork | None = None) -> None:
        self._function = function
        self._context = otel_context.get_current()
        self._entry = entry_of(self._context)
        self._errand = work
        for name in ("__name__", "__qualname__"):  # what is shown of it
            with suppress(Exception):  # a function may be any object
                setattr(self, name, getattr(function, name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        token = otel_context.attach(self._context)  # first of all: engine ``coverage`` waits a few calls for it
        hooks, entry = _hooks, self._entry
        work = self._errand or PendingWork(self._function, is_application=True)
        if entry is not None and hooks is not None:
            work.begin()
            hooks.recorder.add_pending(entry, work)
        try:
            return self._function(*args, **kwargs)
        finally:
            otel_context.detach(token)
            if entry is not None and hooks is not None:
                hooks.recorder.pending_done(entry, work)


class _Hooks:
    """The wrappers. What fails in them is counted; the thread starts all the same."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def start(self, start: Callable[..., Any], thread: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Thread.start``: the thread's ``run()`` is called in the context of whoever starts it."""
        entry = entry_of(otel_context.get_current())
        if entry is None or thread.ident is not None:
            return start(*args, **kwargs)
        work = self._sent(entry, lambda: _carry(thread))
        try:
            return start(*args, **kwargs)
        except BaseException:
            self._finish(entry, work)
            raise

    def start_new(self, start: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``_thread.start_new_thread``, called by its own name."""
        entry = entry_of(otel_context.get_current())
        work, args = self._carried(entry, args)
        try:
            return start(*args, **kwargs)
        except BaseException:
            self._finish(entry, work)
            raise

    def submit(self, submit: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``ThreadPoolExecutor.submit``: the function is called in the context of whoever asks."""
        entry = entry_of(otel_context.get_current())
        work, args = self._carried(entry, args)
        try:
            future = submit(*args, **kwargs)
        except BaseException:
            self._finish(entry, work)
            raise
        self._finished_with(future, entry, work)
        return future

    def run_coroutine(self, run: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``asyncio.run_coroutine_threadsafe``, which hands the context over itself."""
        entry = entry_of(otel_context.get_current())
        future = run(*args, **kwargs)
        if entry is not None:
            work = self._sent(entry, lambda: PendingWork(args[0] if args else kwargs["coro"]))
            self._finished_with(future, entry, work)
        return future

    def _sent(self, entry: Entry, make: Callable[[], PendingWork | None]) -> PendingWork | None:
        """An work that the entry waits for; None where there is nothing to wait for."""
        try:
            work = make()
        except Exception as error:
            log.failed("following a thread", error)
            return None
        if work is not None:
            self.recorder.add_pending(entry, work)
        return work

    def _carried(self, entry: Entry | None, args: tuple[Any, ...]) -> tuple[PendingWork | None, tuple[Any, ...]]:
        """An work, and the arguments with the function that they begin with to be called in the current context."""
        if entry is None or not args:
            return None, args
        work = self._sent(entry, lambda: PendingWork(args[0]))
        return work, args if work is None else (Carried(args[0], work), *args[1:])

    def _finish(self, entry: Entry | None, work: PendingWork | None) -> None:
        if entry is not None and work is not None:
            self.recorder.pending_done(entry, work)

    def _finished_with(self, future: Any, entry: Entry | None, work: PendingWork | None) -> None:
        """Have the work end with the future at the latest: it may be cancelled."""
        if work is not None:
            future.add_done_callback(lambda _: self._finish(entry, work))


def _carry(thread: Any) -> PendingWork | None:
    """Have the thread's ``run()`` called in the current context, unless the thread is to serve everybody."""
    work = PendingWork(_called_by(thread))
    if work.serves_all:
        return None
    own = vars(thread).get("run")
    carried = Carried(thread.run, work)

    def run() -> None:
        if own is None:
            del thread.run
        else:
            thread.run = own
        carried()

    thread.run = run
    return work


def _called_by(thread: threading.Thread) -> Callable[..., object]:
    """What the thread is for: its target, a timer's function, or a ``run()`` of its own."""
    if isinstance(thread, threading.Timer):
        return thread.function
    target = getattr(thread, "_target", None)
    return target if callable(target) else thread.run
