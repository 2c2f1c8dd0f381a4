"""What an entry has another thread do: it belongs to the entry, also where the entry's own code is over first."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Coroutine
from types import CodeType, FrameType
from typing import Any

# their threads, started by whoever comes first, serve everybody
_SERVING_ALL = ("concurrent.futures", "grpc", "multiprocessing", "opentelemetry", "otel_coverage")


class PendingWork:
    """One function that another thread is to call, once; or a coroutine that its event loop is to run.

    Args:
        function: what is called, or run.
        is_application: it is known to come down to code of the application, though it may not look like that.
    """

    def __init__(
        self, function: Callable[..., object] | Coroutine[Any, Any, object], *, is_application: bool = False
    ) -> None:
        self._function = function
        self._is_application = is_application
        self._thread: int | None = None
        self._greenlet: Any = None

    def begin(self) -> None:
        """The running thread, or greenlet, is the one that calls it."""
        self._thread = threading.get_ident()
        if "greenlet" in sys.modules:
            self._greenlet = sys.modules["greenlet"].getcurrent()

    @property
    def serves_all(self) -> bool:
        """Whether it is a library's way to work for the whole process, from now on."""
        module = getattr(_innermost(self._function), "__module__", None) or ""
        return any(module == name or module.startswith(name + ".") for name in _SERVING_ALL)

    def runs(self, is_wanted: Callable[[str], bool]) -> bool:
        """Whether it is code from a wanted file that it calls, or runs right now."""
        if self._is_application:
            return True
        code = getattr(self._function, "cr_code", None) or getattr(_innermost(self._function), "__code__", None)
        if isinstance(code, CodeType) and is_wanted(code.co_filename):
            return True
        suspended: FrameType | None = getattr(self._greenlet, "gr_frame", None)
        running = sys._current_frames().get(self._thread) if self._thread is not None else None
        for frame in (suspended, running):
            while frame is not None:
                if is_wanted(frame.f_code.co_filename):
                    return True
                frame = frame.f_back
        return False


def _innermost(function: object) -> object:
    """The function itself: without decorators, bound arguments and instance."""
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
