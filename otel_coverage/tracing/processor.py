"""The span processor: finds the spans of traced contexts, and the entry spans among them."""

from __future__ import annotations

from functools import cached_property

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, Span, SpanProcessor
from opentelemetry.trace import SpanKind, TracerProvider

from otel_coverage import __version__
from otel_coverage.recording import Incomplete
from otel_coverage.settings import Settings
from otel_coverage.tracing.attributes import ROLE
from otel_coverage.tracing.context import entry_awaiting_span, entry_of, playback_of, with_entry
from otel_coverage.tracing.entry import ROLES, Entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import Playback
from otel_coverage.tracing.recorder import Recorder, install, installed
from otel_coverage.tracing.span_end import SpanEndHook
from otel_coverage.tracing.writer import playback_attributes, write_playback

SPAN_BYTES = 256 * 1024


class CoverageSpanProcessor(SpanProcessor):
    """Works on any provider, regardless of its other processors and their order.

    Every span of a traced context gets ``playback.profile`` and ``playback.run_id``; its entry span, and
    ``coverage.part`` children where one span cannot hold it all, get what was executed.

    An entry span and its entry meet in one of two ways:

    - A hook of ours opened the entry first, to record what runs before its span starts: the first span of the entry's
      kind that starts meanwhile is the entry span (:data:`~otel_coverage.tracing.context.entry_awaiting_span`). Who
      makes that span, the hook itself or another instrumentation, makes no difference.
    - Where no hook of ours runs (a server or consumer that only the application's own instrumentation knows), a span
      whose parent is absent or remote opens an entry, for as long as the span lives.

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

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Mark the span where its context is traced, and hook its end so that what we write is written last."""
        if self._recorder is None or SpanEndHook.is_on(span):
            return
        if self._recorder is not installed():
            return  # uninstrumented since: a provider does not give its processors back
        try:
            self._start(span, otel_context.get_current() if parent_context is None else parent_context, self._recorder)
        except Exception as error:
            log.failed("marking a span", error)

    def _start(self, span: Span, context: Context, recorder: Recorder) -> None:
        awaiting = entry_awaiting_span.get()
        if awaiting is not None and awaiting.awaits_span(span.kind):
            self._become_entry_span(span, awaiting, recorder)
            return
        entry = entry_of(context)
        playback = playback_of(context, recorder.settings) or (entry.playback if entry is not None else None)
        if playback is None:
            return
        if entry is None and span.kind in ROLES and (span.parent is None or span.parent.is_remote):
            self._open_entry(span, playback, recorder)
            return
        span.set_attributes(playback_attributes(playback))
        SpanEndHook(span, lambda: _write_plain(span, playback))

    def _become_entry_span(self, span: Span, entry: Entry, recorder: Recorder) -> None:
        """The hook that opened the entry closes it."""
        entry.writer.start(span, self._tracer, self._span_bytes)
        if entry_of(otel_context.get_current()) is not entry:
            # never detached: the hook restores what was there before the entry
            otel_context.attach(with_entry(otel_context.get_current(), entry, recorder.settings))
        SpanEndHook(span, lambda: entry.writer.write_entry_span(span))

    def _open_entry(self, span: Span, playback: Playback, recorder: Recorder) -> None:
        failure = None
        if isinstance(getattr(span, "_span_processor", None), ConcurrentMultiSpanProcessor):
            failure = Incomplete("concurrent_processors", "processors run in threads of their own: instrument the app")
        entry = recorder.open(playback, span.kind, failure)
        entry.writer.start(span, self._tracer, self._span_bytes)
        attached = with_entry(otel_context.get_current(), entry, recorder.settings)
        token = otel_context.attach(attached)

        def close() -> None:
            recorder.close(entry)
            if otel_context.get_current() is attached:
                otel_context.detach(token)

        SpanEndHook(span, lambda: entry.writer.write_entry_span(span), close)

    @cached_property
    def _tracer(self) -> trace.Tracer:
        """Kept: some SDKs make a new one, at the price of a span, whenever they are asked."""
        return trace.get_tracer("otel_coverage", __version__, self._provider)


def _write_plain(span: Span, playback: Playback) -> None:
    if span.kind is SpanKind.PRODUCER:
        span.set_attribute(ROLE, "producer")  # its CONSUMER span is expected to arrive
    write_playback(span, playback)
