"""Commands that serve until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def on_stop_signals() -> Callable[[], str]:
    """Handle SIGTERM and SIGINT from now on.

    The interpreter itself writes to the pipe, whichever thread the signal interrupts. A handler that sets an Event can
    deadlock: the interrupted code may hold the Event's lock.

    Returns:
        A function that blocks until one of the signals has arrived, and returns its name.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return lambda: signal.Signals(os.read(read_end, 1)[0]).name
