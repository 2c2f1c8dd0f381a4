"""The interface of all engines."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from otel_coverage.recording.recording import Recording
from otel_coverage.settings import Granularity

_T = TypeVar("_T")


class Engine(Protocol):
    """Records which code runs in which recording. One per process; safe to use from any thread.

    Attributes:
        name: ``monitoring`` or ``coverage``.
        granularity: what it records.
        branch: whether it records arcs too.
    """

    name: str
    granularity: Granularity
    branch: bool

    def begin(self) -> Recording:
        """Open a recording.

        Code that finds it through :class:`~otel_coverage.recording.recording.CurrentRecording` is recorded in it: on
        this thread, and wherever else :meth:`follow` is used.
        """
        ...

    def prepare(self) -> Recording | None:
        """A recording that :meth:`open` begins later, in a child that is forked then; None where there can be none."""
        ...

    def open(self, recording: Recording) -> bool:
        """Begin a prepared recording, as :meth:`begin` does. Returns whether that was possible."""
        ...

    def follow(self, recording: Recording) -> AbstractContextManager[None]:
        """Record what the block runs on the calling thread, which is not the one that the recording began on.

        The block has to run in a context whose current recording is this one. A recording that ended is left as it is.
        """
        ...

    def enter(self, recording: Recording) -> Callable[[], None] | None:
        """The calling thread was just put into the recording's context, by whatever code: record what it enters now.

        Returns:
            What to call where the thread leaves that context; None where it is recorded without.
        """
        ...

    def drive(self, recording: Recording, coroutine: Coroutine[Any, Any, _T]) -> Coroutine[Any, Any, _T]:
        """A coroutine to await instead of ``coroutine``: what that runs, step by step, is recorded.

        Called where the recording began, or in an event loop of another thread. As for :meth:`follow`, it has to run in
        a context whose current recording is this one.
        """
        ...

    def detach(self, recording: Recording) -> None:
        """The thread that it began on does something else from here on; what is followed is recorded as before."""
        ...

    def end(self, recording: Recording) -> None:
        """Close a recording; what it executed stays readable. Ending twice is fine."""
        ...

    def close(self) -> None:
        """Give back every tool id, callback and tracer. Open recordings end."""
        ...

    def after_fork_in_child(self) -> None:
        """Forget the parent's recordings; those that survive a fork end, and stay readable.

        No other thread runs; locks may be held by threads that do not exist here.
        """
        ...


_engines: list[weakref.ref[Engine]] = []  # a list is read faster than a set of weak references


def reset_in_forked_children(engine: Engine) -> None:
    """Call the engine's ``after_fork_in_child`` in every forked child, for as long as the engine is alive."""
    _engines.append(weakref.ref(engine, _engines.remove))


def _after_fork_in_child() -> None:
    for reference in tuple(_engines):
        engine = reference()
        if engine is not None:
            engine.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
