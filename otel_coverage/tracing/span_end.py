"""The last moment at which a span can be written on: a hook around its own ``end``."""

from __future__ import annotations

from collections.abc import Callable
from time import time_ns

from opentelemetry.sdk.trace import Span

from otel_coverage.tracing.log import log


class SpanEndHook:
    """Stands in for one span's ``end``.

    ``SpanProcessor`` has no public hook for that: at ``on_end`` a span cannot be changed any more, and an attribute set
    earlier might be dropped for younger ones.

    Args:
        span: the span, which has none yet (:meth:`is_on`).
        write: called before the span ends, unless it is not recorded.
        close: called after the span ended.
    """

    __slots__ = ("_close", "_end", "_span", "_write")

    def __init__(self, span: Span, write: Callable[[], None], close: Callable[[], None] | None = None) -> None:
        self._span, self._end, self._write, self._close = span, span.end, write, close
        span.__dict__["end"] = self

    @classmethod
    def is_on(cls, span: Span) -> bool:
        """Whether the span has such a hook already."""
        return isinstance(span.__dict__.get("end"), cls)

    def __call__(self, end_time: int | None = None) -> None:
        """End the span, as of now where no time is given: the time that writing takes is not the span's."""
        end_time = time_ns() if end_time is None else end_time
        if self._span.__dict__.get("end") is self:
            del self._span.__dict__["end"]
        if self._span.is_recording():
            _guarded(self._write)
        self._end(end_time)
        if self._close is not None:
            _guarded(self._close)


def _guarded(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception as error:
        log.failed("ending a span", error)
