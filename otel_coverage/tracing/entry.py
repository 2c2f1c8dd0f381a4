"""One request, job or process that is recorded: whether it still runs, and what it waits for."""

from __future__ import annotations

import threading
from time import time_ns

from opentelemetry.trace import SpanContext, SpanKind

from otel_coverage.recording import Incomplete, Recording
from otel_coverage.settings import Settings
from otel_coverage.tracing.log import log
from otel_coverage.tracing.pending import PendingWork
from otel_coverage.tracing.playback import Playback
from otel_coverage.tracing.writer import CoverageWriter

ROLES = {SpanKind.SERVER: "server", SpanKind.CONSUMER: "consumer", SpanKind.INTERNAL: "process"}
"""The ``coverage.role`` of an entry span, by its kind; spans of other kinds are no entry spans."""


class Entry:
    """What one request, job or process executes, from its first hook to its last. Safe to use from any thread.

    Made by :meth:`~otel_coverage.tracing.recorder.Recorder.open`. Its entry span starts later, or never:
    :class:`~otel_coverage.tracing.processor.CoverageSpanProcessor` says how the two meet.

    Args:
        playback: whose work this is.
        kind: the kind of span that will be the entry span.
        recording: the open recording, or None where none could be opened.
        failure: why none could be opened.
        settings: of the process.

    Attributes:
        opened: nanoseconds since the epoch.
        is_open: whether what runs is still recorded.
        writer: writes what was executed.
    """

    def __init__(
        self,
        playback: Playback,
        kind: SpanKind,
        recording: Recording | None,
        failure: Incomplete | None,
        settings: Settings,
    ) -> None:
        self.playback = playback
        self.kind = kind
        self.recording = recording
        self.opened = time_ns()
        self.is_open = True
        self.writer = CoverageWriter(playback, ROLES[kind], recording, failure, settings)
        self._is_draining = False
        self._pending: set[PendingWork] = set()
        self._lock = threading.Lock()

    @property
    def span_context(self) -> SpanContext | None:
        """The entry span's; None until it has started."""
        return self.writer.span_context

    def awaits_span(self, kind: SpanKind) -> bool:
        """Whether a span of that ``kind``, starting now, is the entry span."""
        return self.is_open and self.span_context is None and kind is self.kind

    def mark_incomplete(self, reason: str, detail: str) -> None:
        """Something is missing, see :meth:`.Recording.mark_incomplete`; written at once where the entry has ended.

        Never raises: hooks call it from within the application's own calls.
        """
        if self.recording is None:
            return
        self.recording.mark_incomplete(reason, detail)
        try:
            if not self.is_open:
                self.writer.write_parts()
        except Exception as error:
            log.failed("marking an entry that has ended", error)

    @property
    def pending_work(self) -> tuple[PendingWork, ...]:
        """What other threads do for the entry now, or are about to."""
        with self._lock:
            return tuple(self._pending)

    def add_pending(self, work: PendingWork) -> bool:
        """Wait for ``work``. Returns whether what it runs is recorded: not once the entry has ended."""
        with self._lock:
            if not self.is_open or (self._is_draining and not self._pending):
                return False
            self._pending.add(work)
            return True

    def pending_done(self, work: PendingWork) -> bool:
        """Wait for ``work`` no more. Returns whether it was the last, and the entry has only been waiting for it."""
        with self._lock:
            if work not in self._pending:
                return False
            self._pending.discard(work)
            return self._is_draining and not self._pending

    def main_work_done(self) -> bool:
        """Only pending work is left. Returns whether there is none."""
        with self._lock:
            self._is_draining = True
            return not self._pending

    def end(self) -> bool:
        """Nothing is recorded from here on. Returns whether the entry was open until now."""
        with self._lock:
            was_open, self.is_open = self.is_open, False
        return was_open
