"""The thread that writes meanwhile what runs long."""

from __future__ import annotations

import _thread
from collections.abc import Callable
from contextlib import suppress

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from otel_coverage.tracing.log import log


class Flusher:
    """Calls a function again and again, in a thread that belongs to no request and that no process waits for.

    To start it takes a tenth of a millisecond: a ``threading.Thread`` would have its caller wait until it runs, which
    takes milliseconds where all processors are busy, in each process that is forked for one job.

    Args:
        pause: returns the seconds until the next call.
        flush: is called.
    """

    def __init__(self, pause: Callable[[], float], flush: Callable[[], None]) -> None:
        self._pause = pause
        self._flush = flush
        # made when it is started, since gevent may replace locks until then; a lock is one object, an event three
        self._stopped = _thread.allocate_lock()
        self._stopped.acquire()  # released to end the thread
        self._done = _thread.allocate_lock()

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: the system has no thread left.
        """
        self._done.acquire()  # released by the thread when it ends
        token = otel_context.attach(Context())
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:
            self._done.release()
            raise
        finally:
            otel_context.detach(token)

    def stop(self, timeout: float) -> None:
        """End it, and wait for that, for some seconds."""
        with suppress(RuntimeError):  # it was ended already
            self._stopped.release()
        if self._done.acquire(timeout=timeout):
            self._done.release()

    def _run(self) -> None:
        try:
            while not self._stopped.acquire(timeout=self._pause()):
                try:
                    self._flush()
                except Exception as error:
                    log.failed("writing partial sets", error)
        finally:
            self._done.release()
