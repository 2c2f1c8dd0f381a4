"""What is written on spans: the playback on each, and on those of an entry what its recording has executed."""

from __future__ import annotations

import threading

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import NonRecordingSpan, SpanContext, Tracer
from opentelemetry.util.types import AttributeValue

from otel_coverage.recording import Executed, Incomplete, Recording
from otel_coverage.settings import Settings
from otel_coverage.tracing import attributes as names
from otel_coverage.tracing.arc_chains import ARCS
from otel_coverage.tracing.attributes import FUNCTIONS, LINES, Chunk, chunks
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import PROFILE, RUN_ID, Playback


class CoverageWriter:
    """Writes each function, line and arc of one recording once: on the entry span as that ends, or on a part below it.

    Safe to use from any thread.

    Args:
        playback: is written on every span.
        role: the ``coverage.role`` of the entry span.
        recording: what is written; None where none could be opened.
        failure: why none could be opened.
        settings: the granularity, and the token that signs the playback in the parts' context.

    Attributes:
        span_context: the entry span's; None until it has started.
    """

    def __init__(
        self,
        playback: Playback,
        role: str,
        recording: Recording | None,
        failure: Incomplete | None,
        settings: Settings,
    ) -> None:
        self.span_context: SpanContext | None = None
        self._playback = playback
        self._role = role
        self._recording = recording
        self._failure = failure
        self._settings = settings
        self._arrays = [FUNCTIONS]
        if settings.granularity == "line":
            self._arrays.append(LINES)
        if recording is not None and recording.branch:
            self._arrays.append(ARCS)
        self._tracer: Tracer | None = None
        self._span_bytes = 0
        self._longest: int | None = None  # characters that the entry span's provider lets a value have
        self._written = Executed()
        self._written_incomplete: Incomplete | None = None
        # held from reading the recording until all of it is written: closing the entry waits for it
        self._lock = threading.Lock()

    def start(self, span: Span, tracer: Tracer, span_bytes: int) -> None:
        """Mark the entry span, which starts.

        Args:
            span: the entry span.
            tracer: makes the parts.
            span_bytes: what is larger than that goes on parts.
        """
        self._tracer, self._span_bytes = tracer, span_bytes
        self.span_context = span.get_span_context()
        span.set_attributes(playback_attributes(self._playback))

    def write_entry_span(self, span: Span) -> None:
        """Write what ran until now on the entry span, which is about to end; on parts what it cannot hold."""
        with self._lock:
            executed = self._take()
            found = chunks(executed, self._arrays, self._span_bytes)
            self._longest = _value_limit(span, found)
            if self._longest is not None:
                found = chunks(executed, self._arrays, self._span_bytes, self._longest)
            self._write(span, found[0], self._role)
            write_playback(span, self._playback)
            for chunk in found[1:]:
                self._write_part(chunk)

    def write_parts(self) -> None:
        """Write on parts what ran, or was found to be missing, since the last time; nothing before the entry span."""
        if self.span_context is None:
            return
        with self._lock:
            for chunk in chunks(self._take(), self._arrays, self._span_bytes, self._longest):
                if chunk.size or chunk.too_long or self._incomplete() != self._written_incomplete:
                    self._write_part(chunk)

    def _take(self) -> Executed:
        """What ran since the last time."""
        if self._recording is None:
            return Executed()
        executed = self._recording.executed()
        new, self._written = executed - self._written, executed
        return new

    def _incomplete(self) -> Incomplete | None:
        return self._failure if self._recording is None else self._recording.incomplete

    def _write_part(self, chunk: Chunk) -> None:
        if self.span_context is None or self._tracer is None:
            return
        context = with_playback(Context(), self._playback, self._settings)
        part = self._tracer.start_span(
            names.PART, trace.set_span_in_context(NonRecordingSpan(self.span_context), context)
        )
        self._write(part, chunk, "part")
        part.end()

    def _write(self, span: trace.Span, chunk: Chunk, role: str) -> None:
        incomplete = self._written_incomplete = self._incomplete()
        if chunk.too_long:
            incomplete = Incomplete(
                "value_length_limit", f"{chunk.too_long} names are longer than the provider lets a value be"
            )
        values: dict[str, AttributeValue] = {**chunk.arrays, **chunk.counts}
        values[names.GRANULARITY] = self._settings.granularity
        if self._recording is not None:
            values[names.ENGINE] = self._recording.engine_name
        values[names.ROLE] = role
        values[names.COMPLETE] = incomplete is None
        if incomplete is not None:
            values[names.INCOMPLETE_REASON] = incomplete.reason
            values[names.INCOMPLETE_DETAIL] = incomplete.detail
        span.set_attributes(values)


def playback_attributes(playback: Playback) -> dict[str, str]:
    """The attributes of every span of a traced context."""
    if playback.run_id:
        return {PROFILE: playback.profile, RUN_ID: playback.run_id}
    return {PROFILE: playback.profile}


def write_playback(span: Span, playback: Playback) -> None:
    """Write the playback on a span that is about to end: past its limit of attributes a span drops the oldest."""
    span.set_attributes(playback_attributes(playback))
    if (span.attributes or {}).get(PROFILE) != playback.profile:
        span.set_attribute(PROFILE, "")  # rather than the name of another profile
        log.warn("cut_profiles", "coverage: a span's limits cut profile %r; it is left out", playback.profile)


def _value_limit(span: Span, found: list[Chunk]) -> int | None:
    """The characters that the span lets a value have, where that cuts an element; None where it cuts none."""
    longest = max((len(text) for chunk in found for array in chunk.arrays.values() for text in array), default=0)
    span.set_attribute(FUNCTIONS.name, "x" * longest)
    kept = (span.attributes or {}).get(FUNCTIONS.name)
    return len(kept) if isinstance(kept, str) and len(kept) < longest else None
