"""Work that another thread, or a task, does for an entry: it belongs to the entry, also where that ends first."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import CodeType, FrameType
from typing import Any

from otel_coverage.loaded import loaded

# threads of these packages are started by the first request that needs them, and serve the whole process
_SERVING_ALL = ("anyio", "concurrent.futures", "grpc", "multiprocessing", "opentelemetry", "otel_coverage")


class PendingWork:
    """One call of a function in another thread, or one run of a coroutine as a task.

    Args:
        function: what is called, or run.
        is_application: it is known to run the application's code, though the function itself may be a library's.
    """

    def __init__(
        self, function: Callable[..., object] | Coroutine[Any, Any, object], *, is_application: bool = False
    ) -> None:
        self._function = function
        self._is_application = is_application
        self._thread: int | None = None
        self._greenlet: Any = None

    def begin(self) -> None:
        """The current thread, or greenlet, calls it now."""
        self._thread = threading.get_ident()
        current_greenlet = loaded("greenlet", "getcurrent")
        if current_greenlet is not None:
            self._greenlet = current_greenlet()

    @property
    def kind(self) -> str:
        """What does it, for people."""
        return "task" if hasattr(self._function, "cr_code") else "thread"

    @property
    def serves_all(self) -> bool:
        """Whether it belongs to a library whose threads serve the whole process."""
        module = getattr(_innermost(self._function), "__module__", None) or ""
        return any(module == name or module.startswith(name + ".") for name in _SERVING_ALL)

    def runs(self, should_trace: Callable[[str], bool]) -> bool:
        """Whether ``should_trace`` accepts the file of what it calls, or of any frame that it runs right now."""
        if self._is_application:
            return True
        codes = list(_codes(self._function)) or [getattr(_innermost(self._function), "__code__", None)]
        if any(isinstance(code, CodeType) and should_trace(code.co_filename) for code in codes):
            return True
        suspended: FrameType | None = getattr(self._greenlet, "gr_frame", None)
        running = sys._current_frames().get(self._thread) if self._thread is not None else None
        for frame in (suspended, running):
            while frame is not None:
                if should_trace(frame.f_code.co_filename):
                    return True
                frame = frame.f_back
        return False


def _codes(coroutine: object) -> Iterator[object]:
    """The code of a coroutine, and of what it waits for; nothing where it is something else."""
    while coroutine is not None:
        code = getattr(coroutine, "cr_code", None) or getattr(coroutine, "gi_code", None)
        if code is None:
            return
        yield code
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)


def _innermost(function: object) -> object:
    """The function below ``functools.partial``, ``__wrapped__`` decorators and bound methods."""
    while True:
        inner = function
        if isinstance(inner, functools.partial):
            inner = inner.func
        elif inspect.ismethod(inner):
            inner = inner.__func__
        elif callable(inner):
            inner = inspect.unwrap(inner)
        if inner is function:
            break
        function = inner
    return function if hasattr(function, "__code__") else inspect.getattr_static(type(function), "__call__", function)
