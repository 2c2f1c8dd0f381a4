"""The last moment at which a span can be written on: a hook around its own ``end``."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from time import time_ns
from typing import Literal

from opentelemetry.sdk.trace import Span

from otel_coverage.tracing.log import log

_sdk_log = logging.getLogger("opentelemetry.sdk.trace")


class SpanEndHook:
    """Stands in for one span's ``end``, in the process that started it: a forked child leaves it to its parent.

    ``SpanProcessor`` has no public hook for that: at ``on_end`` a span cannot be changed any more, and an attribute set
    earlier might be dropped for younger ones.

    A span may be held: then it has ended, at the time of the call and for everybody who looks at it, but it is written
    and goes to the span processors when it is released. So what runs a moment longer need not go on a second span.

    Args:
        span: the span, which has none yet (:meth:`is_on`).
        write: called before the span ends, unless it is not recorded.
        hold: called with this hook when the span ends; returns whether it is held, until somebody calls
            :meth:`release`. None: it never is.
        close: called after the span ended, or began to be held.
    """

    __slots__ = ("_close", "_end", "_end_time", "_hold", "_lock", "_owner", "_span", "_state", "_write")

    def __init__(
        self,
        span: Span,
        write: Callable[[], None],
        hold: Callable[[SpanEndHook], bool] | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self._span, self._end, self._write, self._hold, self._close = span, span.end, write, hold, close
        self._end_time = 0
        self._state: Literal["running", "held", "released", "ended"] = "running"
        self._lock = threading.Lock()
        self._owner = os.getpid()
        span.__dict__["end"] = self

    @classmethod
    def is_on(cls, span: Span) -> bool:
        """Whether the span has such a hook already."""
        return isinstance(span.__dict__.get("end"), cls)

    @classmethod
    def adopt(cls, span: Span) -> None:
        """The span, which was started for a child that was forked then, is this process's."""
        hook = span.__dict__.get("end")
        if isinstance(hook, cls):
            hook._owner = os.getpid()

    def __call__(self, end_time: int | None = None) -> None:
        """End the span, as of now where no time is given: the time that writing takes is not the span's."""
        end_time = time_ns() if end_time is None else end_time
        with self._lock:
            state = self._state
            if state == "running":
                self._state, self._end_time = "held" if self._span.is_recording() else "ended", end_time
        if state in ("held", "released"):
            _sdk_log.warning("Calling end() on an ended span.")  # as the SDK does
            return
        if os.getpid() != self._owner:
            self._unhook()
        elif self._state == "ended":
            self._unhook()
            self._end(end_time)
        elif not self._is_held():
            self.release()
        if self._close is not None and state == "running":
            _guarded(self._close)

    def release(self) -> None:
        """Write on the span and end it, as of the time when it was asked to end. Releasing twice is fine."""
        with self._lock:
            if self._state != "held":
                return
            self._state = "released"
            self._show()
        try:
            _guarded(self._write)
        finally:  # until here nobody else can end it: this hook still stands in for `end`
            self._unhook()
            self._end(self._end_time)
            self._state = "ended"

    def _is_held(self) -> bool:
        if self._hold is None:
            return False
        try:
            self._hide()
            return self._hold(self)
        except Exception as error:
            log.failed("ending a span", error)
            return False

    def _hide(self) -> None:
        """Have the span look as it does when it has ended: the SDK asks this field alone."""
        with self._span._lock:
            self._span._end_time = self._end_time

    def _show(self) -> None:
        """Have the span accept attributes again."""
        with self._span._lock:
            self._span._end_time = None

    def _unhook(self) -> None:
        if self._span.__dict__.get("end") is self:
            del self._span.__dict__["end"]


def _guarded(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception as error:
        log.failed("ending a span", error)
