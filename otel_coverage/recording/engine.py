"""The interface of all engines."""

from __future__ import annotations

import os
import weakref
from contextlib import AbstractContextManager
from typing import Protocol

from otel_coverage.recording.recording import Recording
from otel_coverage.settings import Granularity


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

    def follow(self, recording: Recording) -> AbstractContextManager[None]:
        """Record what the block runs on the calling thread, which is not the one that the recording began on.

        The block has to run in a context whose current recording is this one. A recording that ended is left as it is.
        """
        ...

    def end(self, recording: Recording) -> None:
        """Close a recording; what it executed stays readable. Ending twice is fine."""
        ...

    def close(self) -> None:
        """Give back every tool id, callback and tracer. Open recordings end."""
        ...

    def after_fork_in_child(self) -> None:
        """Forget the parent's recordings. No other thread runs; locks may be held by threads that do not exist here."""
        ...


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def reset_in_forked_children(engine: Engine) -> None:
    """Call the engine's ``after_fork_in_child`` in every forked child, for as long as the engine is alive."""
    _engines.add(engine)


def _after_fork_in_child() -> None:
    for engine in list(_engines):
        engine.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
