"""The playback client's spans on their way: kept, and sent again, until the receiver acknowledges them.

They say what was to arrive of a run. So they must not be lost by what loses the application's spans.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_coverage.tracing.export.span_size import span_size

KEPT_BYTES = 64 * 1024 * 1024

_MESSAGE_BYTES = 1024 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds between two attempts
_LEAVE_SECONDS = 1.0  # for an attempt that is interrupted


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of spans.

    Attributes:
        lost: spans that were neither acknowledged nor spooled.
        spooled: spans that were left in the spool, to be sent from there.
    """

    lost: int = 0
    spooled: int = 0

    def __bool__(self) -> bool:
        return bool(self.lost or self.spooled)

    def __add__(self, other: Delivered) -> Delivered:
        return Delivered(self.lost + other.lost, self.spooled + other.spooled)


class Delivery(SpanProcessor):
    """Sends spans in the order of their ends, in a thread of its own. Safe to use from any thread.

    Args:
        make: makes the exporter that sends; a new one after each failure, since a connection that has failed often is
            not tried again for minutes.
        kept_bytes: of spans that are kept; those that do not fit are spooled at once, or lost.
        spool: makes the exporter that leaves spans in the spool; None where there is none.
    """

    def __init__(
        self,
        make: Callable[[], SpanExporter],
        *,
        kept_bytes: int = KEPT_BYTES,
        spool: Callable[[], SpanExporter] | None = None,
    ) -> None:
        self._make = make
        self._kept_bytes = kept_bytes
        self._spool = spool
        self._exporter: SpanExporter | None = None
        self._kept: deque[tuple[ReadableSpan, int]] = deque()
        self._bytes = 0
        self._overflowed = Delivered()
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span, and send it soon."""
        size = span_size(span)
        with self._changed:
            if self._is_closed:
                return
            fits = self._bytes + size <= self._kept_bytes
            if fits:
                self._kept.append((span, size))
                self._bytes += size
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_all, name="playback-delivery", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        if not fits:
            outcome = self._leave_in_spool([span])
            with self._changed:
                self._overflowed += outcome

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Wait until all that has ended is acknowledged. Returns whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._kept, timeout_millis / 1000)

    def close(self, timeout: float) -> Delivered:
        """Wait for the receiver; leave in the spool what it has not acknowledged by then. Closing twice is fine.

        Args:
            timeout: seconds.
        """
        self.force_flush(int(timeout * 1000))
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            exporter = self._exporter
        if exporter is not None:
            with contextlib.suppress(Exception):
                exporter.shutdown()  # interrupts an attempt
        if self._thread is not None:
            self._thread.join(_LEAVE_SECONDS)
        with self._changed:
            left = [span for span, _ in self._kept]
            self._kept.clear()
            outcome, self._overflowed = self._overflowed, Delivered()
        return outcome + self._leave_in_spool(left)

    def shutdown(self) -> None:
        """Send no more."""
        self.close(0)

    def _send_all(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._kept or self._is_closed)
                if self._is_closed:
                    return
                batch = self._next_batch()
            if self._send(batch):
                pause = _FIRST_PAUSE
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _next_batch(self) -> list[ReadableSpan]:
        batch: list[ReadableSpan] = []
        total = 0
        for span, size in self._kept:
            total += size
            if batch and total > _MESSAGE_BYTES:
                break
            batch.append(span)
        return batch

    def _send(self, batch: list[ReadableSpan]) -> bool:
        """Returns whether the receiver has acknowledged the oldest spans that are kept."""
        try:
            exporter = self._exporter = self._exporter or self._make()
            accepted = exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:  # the SDK's exporters raise what gRPC does
            accepted = False
        if not accepted:
            with contextlib.suppress(Exception):
                if self._exporter is not None:
                    self._exporter.shutdown()
            self._exporter = None
            return False
        with self._changed:
            for _ in batch if self._kept else ():
                self._bytes -= self._kept.popleft()[1]
            self._changed.notify_all()
        return True

    def _leave_in_spool(self, spans: list[ReadableSpan]) -> Delivered:
        if not spans:
            return Delivered()
        try:
            kept = self._spool is not None and self._spool().export(spans) is SpanExportResult.SUCCESS
        except Exception:
            kept = False
        return Delivered(spooled=len(spans)) if kept else Delivered(lost=len(spans))
