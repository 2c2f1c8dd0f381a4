"""A recording on its way to spans: the entry span, what it was told already, and what is left for parts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import time_ns

from opentelemetry.trace import Span, SpanContext, SpanKind

from otel_coverage.recording import Executed, Incomplete, Recording
from otel_coverage.tracing.pending import PendingWork
from otel_coverage.tracing.playback import Playback

ROLES = {SpanKind.SERVER: "server", SpanKind.CONSUMER: "consumer", SpanKind.INTERNAL: "process"}


class Entry:
    """What one request, job or process executes, from its first hook to its last.

    Made by :class:`~otel_coverage.tracing.recorder.Recorder`; its entry span finds it, or is found, later.

    Args:
        playback: whose work this is.
        kind: the kind of span that will be the entry span.
        recording: the open recording, or None where none could be opened.
        failure: why none could be opened.

    Attributes:
        longest_element: characters that the entry span's provider lets a value have; None for no limit.
        written_reason: the reason for incompleteness that a span was told last.
        write_lock: held from taking what ran until it stands on a span, so that who closes the entry waits for that.
        is_draining: nothing of it runs any more but its pending_work.
    """

    def __init__(
        self, playback: Playback, kind: SpanKind, recording: Recording | None, failure: Incomplete | None
    ) -> None:
        self.playback = playback
        self.kind = kind
        self.recording = recording
        self.opened = time_ns()
        self.is_open = True
        self.span_context: SpanContext | None = None
        self.longest_element: int | None = None
        self.written_reason: Incomplete | None = None
        self._writer: Callable[[Entry], None] | None = None
        self._failure = failure
        self._taken = Executed()
        self._lock = threading.Lock()
        self.write_lock = threading.Lock()
        self.is_draining = False
        self._pending: set[PendingWork] = set()

    @property
    def role(self) -> str:
        """The ``coverage.role`` of the entry span."""
        return ROLES[self.kind]

    @property
    def incomplete(self) -> Incomplete | None:
        """Why something that belongs here is known to be missing; None while nothing is."""
        return self._failure if self.recording is None else self.recording.incomplete

    def mark_incomplete(self, reason: str, detail: str) -> None:
        """Something that belongs here will not come, and whoever hooks knows why. Told at once where all is told."""
        if self.recording is not None:
            self.recording.incomplete = Incomplete(reason, detail)
            if not self.is_open:
                self._write_remaining()

    @property
    def pending_work(self) -> tuple[PendingWork, ...]:
        """What other threads do for it now, or are about to."""
        with self._lock:
            return tuple(self._pending)

    def add_pending(self, work: PendingWork) -> bool:
        """Another thread is to do something that belongs here. Returns whether that is recorded: not after the end."""
        with self._lock:
            if not self.is_open or (self.is_draining and not self._pending):
                return False
            self._pending.add(work)
            return True

    def pending_done(self, work: PendingWork) -> bool:
        """It is done, or will not be. Returns whether that was the last thing to wait for."""
        with self._lock:
            if work not in self._pending:
                return False
            self._pending.discard(work)
            return self.is_draining and not self._pending

    def main_work_done(self) -> bool:
        """All that belongs here is done but for pending_work. Returns whether there are none."""
        with self._lock:
            self.is_draining = True
            return not self._pending

    def awaits(self, kind: SpanKind) -> bool:
        """Whether a span of that ``kind``, starting now, is the entry span."""
        return self.is_open and self.span_context is None and kind is self.kind

    def claim(self, span: Span, write_remaining: Callable[[Entry], None]) -> None:
        """Make ``span`` the entry span.

        Args:
            span: it will be told what ran until it ends.
            write_remaining: called at :meth:`close`, to write what ran after that.
        """
        self.span_context, self._writer = span.get_span_context(), write_remaining

    def take(self) -> Executed:
        """What ran since the last time somebody took it."""
        if self.recording is None:
            return Executed()
        with self._lock:
            executed = self.recording.executed()
            new = executed - self._taken
            self._taken = executed
        return new

    def close(self, end: Callable[[Recording], None]) -> None:
        """End the recording with ``end`` and write what nobody was told yet. Closing twice is fine."""
        with self._lock:
            if not self.is_open:
                return
            self.is_open = False
        if self.recording is not None:
            end(self.recording)
        self._write_remaining()

    def flush_partial(self) -> None:
        """Write what ran since the last time, of something that is still running."""
        if self.is_open and self.span_context is not None:
            self._write_remaining()

    def _write_remaining(self) -> None:
        if self._writer is not None:
            with self.write_lock:
                self._writer(self)
