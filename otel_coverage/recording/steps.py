"""Coroutines and callbacks of event loops, whose steps are run by somebody else: an engine that traces them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar, cast

_T = TypeVar("_T")

Run = Callable[..., Any]
"""Calls its first argument with the others, and returns or raises what that does."""


class DrivenCoroutine(Coroutine[Any, Any, _T]):
    """A coroutine whose steps ``run`` calls.

    Args:
        coroutine: what is run.
        run: see :data:`Run`.
    """

    __slots__ = ("_coroutine", "_run")

    def __init__(self, coroutine: Coroutine[Any, Any, _T], run: Run) -> None:
        self._coroutine = coroutine
        self._run = run

    def send(self, value: Any, /) -> Any:
        """Run it to where it waits next."""
        return self._run(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Go on with an exception where it waits."""
        return self._run(self._coroutine.throw, *error)

    def close(self) -> None:
        """End it where it waits."""
        self._run(self._coroutine.close)

    def __await__(self) -> Generator[Any, Any, _T]:
        return cast("Generator[Any, Any, _T]", _Awaited(self))

    def __getattr__(self, name: str) -> Any:  # cr_frame and others, for whoever looks into coroutines
        return getattr(self._coroutine, name)


class _Awaited:
    """What ``await`` iterates: an iterator with the methods of a generator."""

    __slots__ = ("close", "send", "throw")

    def __init__(self, driven: DrivenCoroutine[Any]) -> None:
        self.send = driven.send
        self.throw = driven.throw
        self.close = driven.close

    def __iter__(self) -> _Awaited:
        return self

    def __next__(self) -> Any:
        return self.send(None)


class DrivenCallback:
    """A callback of an event loop that ``run`` calls.

    Args:
        callback: what is called.
        run: see :data:`Run`.
    """

    __slots__ = ("_callback", "_run")

    def __init__(self, callback: Callable[..., Any], run: Run) -> None:
        self._callback = callback
        self._run = run

    def __call__(self, *args: Any) -> Any:
        """Call it."""
        return self._run(self._callback, *args)

    def __getattr__(self, name: str) -> Any:  # __self__, a task, for the loop's own messages
        return getattr(self._callback, name)

    def __repr__(self) -> str:
        return repr(self._callback)
