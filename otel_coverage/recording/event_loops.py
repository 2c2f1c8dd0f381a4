"""What event loops call for recordings, so that engine ``coverage`` traces it: callbacks, and with them steps of tasks.

A task is a callback at each of its steps, so whatever makes tasks (factories of the application or of a loop, groups,
libraries) is followed without being known. A loop is hooked while a recording is open in it, no longer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, ContextVar
from typing import Any

from otel_coverage.loaded import loaded

# where each method of a loop has its callback; loops have some of the names
_CALLBACK_AT = {
    "call_soon": 0,
    "call_soon_threadsafe": 0,
    "call_later": 1,
    "call_at": 1,
    "add_reader": 1,
    "add_writer": 1,
    "_add_reader": 1,  # of asyncio's transports
    "_add_writer": 1,
    "add_signal_handler": 1,
}

Wrap = Callable[[Any, Callable[..., Any]], "Callable[..., Any] | None"]


class HookedLoop:
    """An event loop whose callbacks in the context of a recording are wrapped. On the loop's instance alone.

    Args:
        loop: of asyncio, or with its methods.
        variable: what ``wrap`` decides by.
        wrap: called with the variable's value, in the context that a callback will have, where there is one, and with
            the callback; returns what to call instead, or None for the callback itself.

    Attributes:
        recordings: for which it is hooked.
    """

    def __init__(self, loop: Any, variable: ContextVar[Any], wrap: Wrap) -> None:
        self.recordings: set[object] = set()
        self._loop = loop
        self._hooks: dict[str, tuple[Any, Any]] = {}
        for name, position in _CALLBACK_AT.items():
            method = getattr(loop, name, None)
            if method is not None:
                hook = _hook_soon(method, variable, wrap) if position == 0 else _hook_other(method, variable, wrap)
                self._hooks[name] = hook, vars(loop).get(name)
        try:
            for name, (hook, _) in self._hooks.items():
                setattr(loop, name, hook)
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """Take the hooks off the loop, but for those that somebody else has wrapped since: they pass calls through."""
        own = vars(self._loop)
        for name, (hook, before) in self._hooks.items():
            if own.get(name) is not hook:
                continue
            with suppress(AttributeError):
                if before is None:
                    delattr(self._loop, name)
                else:
                    setattr(self._loop, name, before)


def running_loop() -> Any:
    """The event loop of asyncio that runs on this thread, or None."""
    running = loaded("asyncio", "_get_running_loop")
    return None if running is None else running()


def _hook_soon(method: Callable[..., Any], variable: ContextVar[Any], wrap: Wrap) -> Callable[..., Any]:
    get = variable.get

    def hook(callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:
        value = get(None) if context is None else context.get(variable)
        if value is not None:
            callback = wrap(value, callback) or callback
        return method(callback, *args, context=context)

    return hook


def _hook_other(method: Callable[..., Any], variable: ContextVar[Any], wrap: Wrap) -> Callable[..., Any]:
    def hook(when_or_what: Any, callback: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        context = keywords.get("context")
        value = variable.get(None) if context is None else context.get(variable)
        if value is not None:
            callback = wrap(value, callback) or callback
        return method(when_or_what, callback, *args, **keywords)

    return hook


def is_callback(callback: object) -> bool:
    """Whether a loop accepts it: what it refuses, in debug mode, it has to see as it is."""
    code = getattr(callback, "__code__", None)
    return callable(callback) and not getattr(code, "co_flags", 0) & inspect.CO_COROUTINE
