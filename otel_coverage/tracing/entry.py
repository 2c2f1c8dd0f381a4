"""One request, job or process that is recorded: whether it still runs, and what it waits for."""

from __future__ import annotations

import math
import threading
import time

from opentelemetry.trace import SpanContext, SpanKind

from otel_coverage.recording import Incomplete, Recording
from otel_coverage.settings import Settings
from otel_coverage.tracing.entry_point import Finder
from otel_coverage.tracing.log import log
from otel_coverage.tracing.pending import PendingWork
from otel_coverage.tracing.playback import Playback
from otel_coverage.tracing.span_end import SpanEndHook
from otel_coverage.tracing.tally import EntryNumber
from otel_coverage.tracing.writer import CoverageWriter

ROLES = {SpanKind.SERVER: "server", SpanKind.CONSUMER: "consumer", SpanKind.INTERNAL: "process"}
"""The ``coverage.role`` of an entry span, by its kind; spans of other kinds are not entry spans."""

HOLD_SECONDS = 30.0  # that an entry span waits for its entry to end


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
        role: the ``coverage.role`` of the entry span, where it is not that of its kind.
        number: of the entry in this process; None where it is not numbered.

    Attributes:
        opened: nanoseconds since the epoch.
        due: when what ran until then is to be written, in seconds of the monotonic clock; infinite for never.
        number: see the argument.
        is_open: whether what runs is still recorded.
        is_prepared: whether it is for a child that is yet to be forked, which opens it.
        writer: writes what was executed.
    """

    def __init__(
        self,
        playback: Playback,
        kind: SpanKind,
        recording: Recording | None,
        failure: Incomplete | None,
        settings: Settings,
        role: str | None = None,
        number: EntryNumber | None = None,
    ) -> None:
        self.playback = playback
        self.kind = kind
        self.recording = recording
        self.number = number
        self.opened = time.time_ns()
        self.due = math.inf
        self.is_open = True
        self.is_prepared = False
        self.writer = CoverageWriter(playback, role or ROLES[kind], recording, failure, settings, number)
        self._held_span: SpanEndHook | None = None
        self._is_draining = False
        self._pending: set[PendingWork] = set()
        self._lock = threading.Lock()

    @property
    def span_context(self) -> SpanContext | None:
        """The entry span's; None until it has started."""
        return self.writer.span_context

    def found_by(self, find: Finder) -> None:
        """Have ``find`` called for the entry point when the entry span is written; of several the last."""
        self.writer.find_entry_point = find

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

    def hold_span(self, hook: SpanEndHook) -> bool:
        """Hold the entry span, which has ended, until the entry does so in a moment. Returns whether it will."""
        self.writer.look_for_entry_point()
        with self._lock:
            if not self.is_open or self._is_draining:
                return False
            self._held_span = hook
            self.due = min(self.due, time.monotonic() + HOLD_SECONDS)
            return True

    @property
    def is_span_held(self) -> bool:
        """Whether the entry span has ended, and waits for the entry to do so."""
        return self._held_span is not None

    def release_span(self) -> bool:
        """End the entry span now if it is held. Returns whether it was."""
        with self._lock:
            hook, self._held_span = self._held_span, None
        if hook is not None:
            hook.release()
        return hook is not None

    def adopt(self, number: EntryNumber) -> None:
        """It was made before this process was forked, and opens in it under that number."""
        self.is_prepared = False
        self.number = self.writer.number = number

    def main_work_done(self) -> bool:
        """Only pending work is left. Returns whether there is none."""
        with self._lock:
            self._is_draining = True
            return not self._pending

    def disown(self) -> None:
        """Record nothing, and write nothing: this process was forked meanwhile, and the entry is its parent's.

        Takes no lock: threads that are gone may hold it.
        """
        self.is_open = False
        self.recording = None
        self._held_span = None

    def end(self) -> bool:
        """Nothing is recorded from here on. Returns whether the entry was open until now."""
        with self._lock:
            was_open, self.is_open = self.is_open, False
        return was_open

    def finish(self) -> None:
        """The entry and its recording have ended: write what is not written yet."""
        try:
            self.writer.close()
        finally:
            if not self.release_span():
                self.writer.write_parts()
