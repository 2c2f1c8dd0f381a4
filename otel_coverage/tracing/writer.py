"""What is written on spans: the playback on each, and on those of an entry what its recording has executed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final, Literal, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import NonRecordingSpan, SpanContext, Tracer
from opentelemetry.util.types import AttributeValue

from otel_coverage.recording import Executed, Incomplete, Recording
from otel_coverage.settings import Settings
from otel_coverage.tracing import attributes as names
from otel_coverage.tracing import code_revision, entry_point
from otel_coverage.tracing.arc_chains import ARCS
from otel_coverage.tracing.attributes import FUNCTIONS, LINES, Chunk, chunks
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.log import log
from otel_coverage.tracing.metrics import metrics, totals
from otel_coverage.tracing.playback import PROFILE, RUN_ID, Playback
from otel_coverage.tracing.stored_attributes import is_unlimited, store
from otel_coverage.tracing.tally import EntryNumber

_NOTHING: Final[Mapping[str, AttributeValue]] = {}


class CoverageWriter:
    """Writes each function, line and arc of one recording once: on the entry span as that ends, or on a part below it.

    What is written last says how much there is on all of them, unless that is the entry span alone: so whatever is lost
    of it is missed. An entry span that ends before its recording says that it is open.

    Safe to use from any thread.

    Args:
        playback: is written on every span.
        role: the ``coverage.role`` of the entry span.
        recording: what is written; None where none could be opened.
        failure: why none could be opened.
        settings: the granularity, and the token that signs the playback in the parts' context.
        number: of the entry in this process; None where it is not numbered.

    Attributes:
        span_context: the entry span's; None until it has started.
        find_entry_point: what a hook knows of the entry point, once the entry span is written.
        number: see the argument.
    """

    def __init__(
        self,
        playback: Playback,
        role: str,
        recording: Recording | None,
        failure: Incomplete | None,
        settings: Settings,
        number: EntryNumber | None = None,
    ) -> None:
        self.span_context: SpanContext | None = None
        self.find_entry_point: entry_point.Finder | None = None
        self._found: entry_point.EntryPoint | None = None
        self._entry_span: Span | None = None
        self._entry_point: dict[str, AttributeValue] | None = None  # once the entry span is written
        self._playback = playback
        self._role = role
        self._recording = recording
        self._failure = failure
        self._settings = settings
        self.number = number
        self._arrays = [FUNCTIONS]
        if settings.granularity == "line":
            self._arrays.append(LINES)
        if recording is not None and recording.branch:
            self._arrays.append(ARCS)
        self._tracer: Tracer | None = None
        self._span_bytes = 0
        self._longest: int | None = None  # characters that the provider lets a value have, once it has cut one
        self._written = Executed()
        self._written_incomplete: Incomplete | None = None
        self._totals = {names.TOTAL_PARTS: 0, **{array.total_name: 0 for array in self._arrays}}
        self._span_state: Literal["awaited", "open", "closed"] = "awaited"
        self._is_closed = False
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
        self._entry_span = span
        values = playback_attributes(self._playback)
        if not store(span, values):
            span.set_attributes(values)

    def write_entry_span(self, span: Span) -> None:
        """Write what ran until now on the entry span, which is about to end; on parts what it cannot hold."""
        started = metrics.start()
        with self._lock:
            found = self._encode(self._take(), span)
            self._count(found, parts=len(found) - 1)
            values: dict[str, AttributeValue] = self._name_entry(span)
            self._entry_span = None
            if not self._is_closed:
                values[names.OPEN] = True
            elif self._totals[names.TOTAL_PARTS]:
                values.update(self._totals)
            if self.number is not None:
                values[names.PROCESS], values[names.NUMBER] = self.number
            self._span_state = "closed" if self._is_closed else "open"
            self._write(span, found[0], self._role, values)
            for chunk in found[1:]:
                self._write_part(self._start_part(), chunk)
        metrics.spent("end", started)

    def write_parts(self, *, partial: bool = False) -> None:
        """Write on parts what ran, or was found to be missing, since the last time; nothing before the entry span.

        Args:
            partial: the entry span has not ended yet, and may never.
        """
        if self.span_context is None:
            return
        with self._lock:
            executed = self._take()
            if executed or self._incomplete() != self._written_incomplete:
                values: dict[str, AttributeValue] = {names.PARTIAL: True} if partial else {}
                if partial and self.number is not None:
                    values[names.PROCESS] = self.number[0]  # distinguishes a process that was killed from one that runs
                self._write_parts(executed, values)

    def close(self) -> None:
        """The recording has ended: write what is left, and where the entry span was open that this is all."""
        with self._lock:
            self._is_closed = True
            if self._span_state != "open":
                return
            self._span_state = "closed"
            self._write_parts(self._take(), {})

    def _name_entry(self, span: Span) -> dict[str, AttributeValue]:
        """What stands for the entry point on the entry span, which is about to end; parts have the same of it."""
        self._entry_point, route = self._find_entry_point(span)
        return {**self._entry_point, **({entry_point.ROUTE: route} if route else {})}

    def _find_entry_point(self, span: Span) -> tuple[dict[str, AttributeValue], str]:
        self.look_for_entry_point()
        values = entry_point.attributes(self._role, span, self._found)
        return values, self._found.route if self._found is not None else ""

    def look_for_entry_point(self) -> None:
        """Ask for the entry point now, unless it is known: frameworks forget the route when they have answered."""
        if self.find_entry_point is None or (self._found is not None and (self._found.route or self._found.name)):
            return
        try:
            self._found = self.find_entry_point()
        except Exception as error:
            log.failed("finding an entry point", error)

    def _take(self) -> Executed:
        """What ran since the last time."""
        if self._recording is None:
            return Executed()
        executed = self._recording.executed()
        new, self._written = executed - self._written, executed
        return new

    def _incomplete(self) -> Incomplete | None:
        recording = self._recording
        of_code = code_revision.check(files=recording is not None and recording.engine_name == "coverage")
        return (self._failure if recording is None else recording.incomplete) or of_code

    def _encode(self, executed: Executed, span: Span) -> list[Chunk]:
        """The chunks of what was executed, the first of them for ``span``, which limits how long an element may be."""
        found = chunks(executed, self._arrays, self._span_bytes, self._longest)
        if self._longest is None:
            self._longest = _value_limit(span, found)
            if self._longest is not None:
                found = chunks(executed, self._arrays, self._span_bytes, self._longest)
        return found

    def _count(self, found: list[Chunk], parts: int) -> None:
        """Add to the totals, before anything is written: what cannot be written is missing."""
        for chunk in found:
            for array in self._arrays:
                self._totals[array.total_name] += chunk.counts[array.count_name]
        self._totals[names.TOTAL_PARTS] += parts

    def _write_parts(self, executed: Executed, values: dict[str, AttributeValue]) -> None:
        first = self._start_part()
        found = self._encode(executed, first)
        self._count(found, parts=len(found))
        for chunk in found[:-1]:
            self._write_part(first if chunk is found[0] else self._start_part(), chunk, values)
        if self._span_state == "closed":  # again where something was found to be missing later
            values = {**values, names.CLOSING: True, **self._totals}
        self._write_part(first if len(found) == 1 else self._start_part(), found[-1], values)

    def _start_part(self) -> Span:
        context = with_playback(Context(), self._playback, self._settings)
        if self.span_context is None or self._tracer is None:
            raise RuntimeError("a part was to be written before its entry span started")
        parent = trace.set_span_in_context(NonRecordingSpan(self.span_context), context)
        return cast("Span", self._tracer.start_span(names.PART, parent))

    def _write_part(self, part: Span, chunk: Chunk, values: Mapping[str, AttributeValue] = _NOTHING) -> None:
        named = self._entry_point
        if named is None and self._entry_span is not None:  # it runs: what is not known yet may be later
            named, _ = self._find_entry_point(self._entry_span)
        self._write(part, chunk, "part", {**(named or {}), **values})
        part.end()

    def _write(self, span: Span, chunk: Chunk, role: str, others: Mapping[str, AttributeValue]) -> None:
        incomplete = self._written_incomplete = self._incomplete()
        if chunk.too_long:
            incomplete = Incomplete(
                "value_length_limit", f"{chunk.too_long} names are longer than the provider lets a value be"
            )
        values: dict[str, AttributeValue] = {**chunk.counts, **others}
        values[names.GRANULARITY] = self._settings.granularity
        if self._recording is not None:
            values[names.ENGINE] = self._recording.engine_name
        values[names.ROLE] = role
        values[names.COMPLETE] = incomplete is None
        if incomplete is not None:
            values[names.INCOMPLETE_REASON] = incomplete.reason
            values[names.INCOMPLETE_DETAIL] = incomplete.detail
        totals.functions += chunk.counts[FUNCTIONS.count_name]
        of_playback = playback_attributes(self._playback)
        if store(span, {**values, **chunk.tuples, **of_playback}):
            return
        span.set_attributes({**chunk.arrays, **values})
        span.set_attributes(of_playback)  # takes the place of others where the span is full
        kept = getattr(span, "attributes", None)  # a span that is not sampled has none
        if kept is not None and any(name not in kept for name in (*chunk.arrays, *values)):
            span.set_attributes({names.COMPLETE: False, names.INCOMPLETE_REASON: "attribute_count_limit"})
        write_playback(span, self._playback)


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
    if is_unlimited(span):
        return None
    longest = max(chunk.longest for chunk in found)
    if not longest:
        return None
    span.set_attribute(FUNCTIONS.name, "x" * longest)
    kept = (getattr(span, "attributes", None) or {}).get(FUNCTIONS.name)  # a span that is not sampled has none
    return len(kept) if isinstance(kept, str) and len(kept) < longest else None
