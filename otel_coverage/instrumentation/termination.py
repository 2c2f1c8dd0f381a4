"""SIGTERM where its default action would end the process: what has ended is handed on before.

waitress and Flask's development server have no handler of their own, and most scripts have none.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from otel_coverage.tracing import recorder as recorders
from otel_coverage.tracing.export import provider as providers
from otel_coverage.tracing.forks import is_uwsgi
from otel_coverage.tracing.log import log


class Termination:
    """A handler of SIGTERM that does something and then has the process die of the signal, as it would without.

    What it does is write what runs, and send what has ended: in a thread, as the signal may have interrupted who holds
    a lock that is needed for it.

    Args:
        timeout: seconds that the process waits for it.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def install(self) -> bool:
        """Handle SIGTERM from now on, also in children forked from now on.

        Returns:
            Whether it does: not where the process has a handler, in uWSGI, or in another thread than the main one.
        """
        if threading.current_thread() is not threading.main_thread() or is_uwsgi():
            return False
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return False
        signal.signal(signal.SIGTERM, self)
        return True

    def remove(self) -> None:
        """Let SIGTERM have its default action again, unless the application has a handler by now."""
        if signal.getsignal(signal.SIGTERM) is self and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal has come."""
        try:
            thread = threading.Thread(target=self._act, name="otel-coverage-termination", daemon=True)
            thread.start()
            thread.join(self._timeout)
        except Exception as error:  # the system may have no thread left
            log.failed("handing on spans at SIGTERM", error)
        if signal.getsignal(number) is not self:
            return  # a handler of the application's has called this one, as the one before it: it knows what to do
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        signal.signal(number, self)  # the kernel ignores it for the first process of a container

    def _act(self) -> None:
        try:
            recorder = recorders.installed()
            if recorder is not None:
                recorder.end_process()
            providers.flush(self._timeout)
        except Exception as error:
            log.failed("handing on spans at SIGTERM", error)
