"""What a forked child has to make anew."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable

_locks: dict[int, threading.RLock] = {}  # by process: a forked child finds that of its parent as it was


class ProcessState:
    """What belongs to one process: a forked child begins anew when it first uses it, and not before.

    To reset all that is there as a child is forked would take a work horse, which lives for one job, a millisecond: it
    copies each page that it writes to. And uWSGI forks without Python's hooks.
    """

    _pid = 0

    def _begin_process(self) -> None:
        """Begin anew. Locks may be held by threads that do not exist in this process."""
        raise NotImplementedError

    def _check_process(self) -> None:
        """To be called before anything of this is used."""
        if self._pid == os.getpid():
            return
        with _locks.setdefault(os.getpid(), threading.RLock()):
            if self._pid != os.getpid():
                self._begin_process()
                self._pid = os.getpid()


def in_child(method: Callable[[], None]) -> None:
    """Call a bound ``method`` in every forked child, for as long as its object is alive; this keeps it no longer."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    os.register_at_fork(after_in_child=call)


def is_uwsgi() -> bool:
    """Whether uWSGI runs this interpreter.

    It forks without Python's hooks, has handlers of signals that Python does not know of, may have no threads, and now
    and then ends without Python's exit handlers.
    """
    return "uwsgi" in sys.modules or "uwsgi" in os.path.basename(sys.executable)
