"""Tasks that traced code makes in its event loop, and what it hands over to event loops of other threads.

asyncio carries their contexts. Their entry waits for them, as it does for threads.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from concurrent.futures import Future as ThreadFuture
from contextvars import Context
from typing import Any

from opentelemetry import context as otel_context

from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.threads import ContextCall
from otel_coverage.tracing.context import entry_of
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.pending import PendingWork
from otel_coverage.tracing.recorder import Recorder


def instrument_tasks(patches: Patches, recorder: Recorder, asyncio: Any) -> None:
    """Have an entry wait for its tasks, in whichever thread's loop; what another thread's loop runs is recorded."""
    hooks = _Hooks(recorder, asyncio)
    for module in (asyncio, asyncio.tasks):
        patches.wrap(module, "run_coroutine_threadsafe", hooks.run_coroutine_threadsafe)
    patches.wrap(asyncio.BaseEventLoop, "call_soon_threadsafe", hooks.call_soon_threadsafe)
    recorder.on_drive = hooks.hook_running_loop
    patches.on_undo(hooks.undo)


def instrument_uvloop(patches: Patches, recorder: Recorder, uvloop: Any) -> None:
    """The same for what is handed over to a loop of uvloop."""
    patches.wrap(uvloop.Loop, "call_soon_threadsafe", _Hooks(recorder, None).call_soon_threadsafe)


class _Hooks:
    """The wrappers. A failure in them is logged and counted; the task starts all the same."""

    def __init__(self, recorder: Recorder, asyncio: Any) -> None:
        self._recorder = recorder
        self._asyncio = asyncio
        self._loops: weakref.WeakKeyDictionary[Any, Callable[..., Any]] = weakref.WeakKeyDictionary()

    def hook_running_loop(self) -> None:
        """Follow the tasks that are made in the loop of this thread: on its instance, so that others pay nothing."""
        loop = self._asyncio._get_running_loop()
        if loop is None or loop in self._loops:
            return
        create_task = loop.create_task

        def create(coroutine: Any, **options: Any) -> Any:
            entry = entry_of(otel_context.get_current())
            task = create_task(coroutine, **options)
            if entry is not None:
                self._follow(entry, task, coroutine)
            return task

        self._loops[loop] = create
        loop.create_task = create

    def undo(self) -> None:
        """Follow no more tasks."""
        self._recorder.on_drive = lambda: None
        for loop, hook in list(self._loops.items()):
            if vars(loop).get("create_task") is hook:
                del loop.create_task
        self._loops.clear()

    def run_coroutine_threadsafe(
        self, run: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``asyncio.run_coroutine_threadsafe``, which carries the context itself."""
        entry = entry_of(otel_context.get_current())
        future = run(*args, **kwargs)
        if entry is not None:
            self._follow(entry, future, args[0] if args else kwargs["coro"])
        return future

    def call_soon_threadsafe(
        self, call: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``loop.call_soon_threadsafe``: what is called is recorded in that loop."""
        entry = entry_of(otel_context.get_current())
        if entry is not None and args and kwargs.get("context") is None and not inspect.iscoroutinefunction(args[0]):
            args = ContextCall(args[0]), *args[1:]
        return call(*args, **kwargs)

    def _follow(self, entry: Entry, future: Any, coroutine: Any) -> None:
        """Have the entry wait for the task, or the future that stands for one, that runs the coroutine."""
        if future.done():
            return  # it ran at once
        try:
            work = PendingWork(coroutine)
            self._recorder.add_pending(entry, work)

            def done(_: object) -> None:
                self._recorder.pending_done(entry, work)

            if isinstance(future, ThreadFuture):
                future.add_done_callback(done)
            else:
                future.add_done_callback(done, context=Context())  # it is not work of the entry
        except Exception as error:
            log.failed("following a task", error)
            entry.mark_incomplete("hook_failed", f"a task that it made could not be followed: {error}")
