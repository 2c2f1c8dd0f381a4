"""The span processor: marks every span of a traced context, and tells entry spans what their context executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time_ns

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, Span, SpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanKind, TracerProvider
from opentelemetry.util.types import AttributeValue

from otel_coverage import __version__
from otel_coverage.recording import Incomplete
from otel_coverage.settings import Settings
from otel_coverage.tracing import attributes as names
from otel_coverage.tracing.attributes import Chunk, chunks
from otel_coverage.tracing.context import awaiting_span, entry_of, playback_of, with_entry, with_playback
from otel_coverage.tracing.entry import ROLES, Entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import PROFILE, RUN_ID, Playback
from otel_coverage.tracing.recorder import Recorder, install, installed

SPAN_BYTES = 256 * 1024


class CoverageSpanProcessor(SpanProcessor):
    """Works on any provider, before or after whatever other processors stand there.

    Every span of a traced context gets ``playback.profile`` and ``playback.run_id``; its entry span, and
    ``coverage.part`` children where one span cannot hold it all, get what was executed. Where no hook of ours opened a
    recording before an entry span starts, the processor opens one for as long as the span lives.

    Args:
        settings: by default those of environment and pyproject.toml. Without ``enabled`` the processor does nothing.
        tracer_provider: makes the parts; by default OpenTelemetry's global one.
        span_bytes: what is larger than that goes on parts.

    Raises:
        ConfigurationError: a setting cannot be used, or the process records with other settings already.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        tracer_provider: TracerProvider | None = None,
        span_bytes: int = SPAN_BYTES,
    ) -> None:
        settings = Settings.load() if settings is None else settings
        self._recorder: Recorder | None = install(settings) if settings.enabled else None
        self._provider = tracer_provider
        self._span_bytes = span_bytes
        self._tracer: tuple[TracerProvider | trace.TracerProvider, trace.Tracer] | None = None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Mark the span where its context is traced, and see to it that ours is the last word on it."""
        if self._recorder is None or isinstance(span.__dict__.get("end"), _SpanEndHook):
            return
        if self._recorder is not installed():
            return  # uninstrumented since: a provider does not give its processors back
        try:
            self._start(span, parent_context, self._recorder)
        except Exception as error:
            log.failed("marking a span", error)

    def _start(self, span: Span, parent_context: Context | None, recorder: Recorder) -> None:
        context = otel_context.get_current() if parent_context is None else parent_context
        entry = entry_of(context)
        awaiting = entry if entry is not None and entry.awaits(span.kind) else awaiting_span.get()
        if awaiting is not None and awaiting.awaits(span.kind):
            self._become_entry_span(span, awaiting, recorder)
            return
        playback = playback_of(context, recorder.settings) or (entry.playback if entry is not None else None)
        if playback is None:
            return
        is_first = span.parent is None or span.parent.is_remote
        if is_first and entry is None and span.kind in ROLES:
            self._open_entry(span, playback, recorder)
            return
        span.set_attributes(_playback_attributes(playback))
        _SpanEndHook(span, lambda: self._write_playback(span, playback, _plain_role(span)))

    def _become_entry_span(self, span: Span, entry: Entry, recorder: Recorder) -> None:
        """A hook of ours opened the entry, and will close it."""
        entry.claim(span, self._write_remaining)
        span.set_attributes(_playback_attributes(entry.playback))
        if entry_of(otel_context.get_current()) is not entry:
            # never detached: the hook restores what was there before the entry
            otel_context.attach(with_entry(otel_context.get_current(), entry, recorder.settings))
        _SpanEndHook(span, lambda: self._write_entry(span, entry))

    def _open_entry(self, span: Span, playback: Playback, recorder: Recorder) -> None:
        """No hook of ours runs around this span: its recording lives as long as the span does."""
        if isinstance(getattr(span, "_span_processor", None), ConcurrentMultiSpanProcessor):
            entry = Entry(
                playback,
                span.kind,
                None,
                Incomplete("concurrent_processors", "processors run in threads of their own: instrument the app"),
            )
        else:
            entry = recorder.open(playback, span.kind)
        entry.claim(span, self._write_remaining)
        span.set_attributes(_playback_attributes(playback))
        attached = with_entry(otel_context.get_current(), entry, recorder.settings)
        token = otel_context.attach(attached)

        def close() -> None:
            recorder.close(entry)
            if otel_context.get_current() is attached:
                otel_context.detach(token)

        _SpanEndHook(span, lambda: self._write_entry(span, entry), close)

    def _write_entry(self, span: Span, entry: Entry) -> None:
        with entry.write_lock:
            first, *rest = self._chunks(span, entry)
            self._write_chunk(span, first, entry, entry.role)
            self._write_playback(span, entry.playback)
            for chunk in rest:
                self._write_part(chunk, entry)

    def _write_remaining(self, entry: Entry) -> None:
        """What ran, or was found to be missing, after the entry span had ended; nothing where nothing was."""
        for chunk in chunks(entry.take(), self._span_bytes, entry.longest_element):
            if chunk.size or chunk.too_long or entry.incomplete != entry.written_reason:
                self._write_part(chunk, entry)

    def _write_part(self, chunk: Chunk, entry: Entry) -> None:
        if entry.span_context is None or self._recorder is None:
            return
        context = with_playback(Context(), entry.playback, self._recorder.settings)
        part = self._tracer_of_parts().start_span(
            names.PART, trace.set_span_in_context(NonRecordingSpan(entry.span_context), context)
        )
        self._write_chunk(part, chunk, entry, "part")
        part.end()

    def _tracer_of_parts(self) -> trace.Tracer:
        """Asked for once: the SDK makes a new one, at the price of a span, whenever it is asked."""
        provider = self._provider or trace.get_tracer_provider()
        if self._tracer is None or self._tracer[0] is not provider:
            self._tracer = provider, provider.get_tracer("otel_coverage", __version__)
        return self._tracer[1]

    def _chunks(self, span: Span, entry: Entry) -> list[Chunk]:
        """What ran until now, in pieces that fit, also where the provider cuts values at a length."""
        executed = entry.take()
        found = chunks(executed, self._span_bytes)
        longest = max(
            (len(text) for chunk in found for text in (*chunk.functions, *chunk.lines, *chunk.arcs)), default=0
        )
        span.set_attribute(names.FUNCTIONS, "x" * longest)
        kept = (span.attributes or {}).get(names.FUNCTIONS)
        if isinstance(kept, str) and len(kept) < longest:
            entry.longest_element = len(kept)
            return chunks(executed, self._span_bytes, len(kept))
        return found

    def _write_chunk(self, span: trace.Span, chunk: Chunk, entry: Entry, role: str) -> None:
        settings = self._recorder.settings if self._recorder is not None else Settings()
        incomplete = entry.written_reason = entry.incomplete
        if chunk.too_long:
            incomplete = Incomplete(
                "value_length_limit", f"{chunk.too_long} names are longer than the provider lets a value be"
            )
        values: dict[str, AttributeValue] = {names.FUNCTIONS: chunk.functions}
        if settings.granularity == "line":
            values[names.LINES] = chunk.lines
            values[names.LINE_COUNT] = chunk.line_count
        if entry.recording is not None and entry.recording.branch:
            values[names.ARCS] = chunk.arcs
            values[names.ARC_COUNT] = chunk.arc_count
        values[names.FUNCTION_COUNT] = len(chunk.functions)
        values[names.GRANULARITY] = settings.granularity
        if entry.recording is not None:
            values[names.ENGINE] = entry.recording.engine_name
        values[names.ROLE] = role
        values[names.COMPLETE] = incomplete is None
        if incomplete is not None:
            values[names.INCOMPLETE_REASON] = incomplete.reason
            values[names.INCOMPLETE_DETAIL] = incomplete.detail
        span.set_attributes(values)

    def _write_playback(self, span: Span, playback: Playback, role: str | None = None) -> None:
        """Written again at the end: past its limit of attributes a span drops the oldest."""
        if role is not None:
            span.set_attribute(names.ROLE, role)
        span.set_attributes(_playback_attributes(playback))
        if (span.attributes or {}).get(PROFILE) != playback.profile:
            span.set_attribute(PROFILE, "")
            log.warn("cut_profiles", "coverage: a span's limits cut profile %r; it is left out", playback.profile)


class _SpanEndHook:
    """Stands in for one span's ``end``: writes, then ends the span, then closes.

    ``SpanProcessor`` has no public hook for that: at ``on_end`` a span cannot be changed any more, and an attribute set
    before might be dropped for younger ones.
    """

    __slots__ = ("_close", "_end", "_span", "_write")

    def __init__(self, span: Span, write: Callable[[], None], close: Callable[[], None] | None = None) -> None:
        self._span, self._end, self._write, self._close = span, span.end, write, close
        span.__dict__["end"] = self

    def __call__(self, end_time: int | None = None) -> None:
        """End the span, as of now where no time is given, whatever time writing takes."""
        end_time = time_ns() if end_time is None else end_time
        if self._span.__dict__.get("end") is self:
            del self._span.__dict__["end"]
        if self._span.is_recording():
            self._guarded(self._write)
        self._end(end_time)
        if self._close is not None:
            self._guarded(self._close)

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            log.failed("ending a span", error)


def _playback_attributes(playback: Playback) -> Mapping[str, AttributeValue]:
    if playback.run_id:
        return {PROFILE: playback.profile, RUN_ID: playback.run_id}
    return {PROFILE: playback.profile}


def _plain_role(span: Span) -> str | None:
    """The role of a span that begins nothing here: it may begin something elsewhere."""
    if span.kind is SpanKind.PRODUCER:
        return "producer"
    if span.kind is SpanKind.CLIENT and not any(name.startswith("db.") for name in span.attributes or ()):
        return "client"
    return None
