"""The span processor: finds the spans of traced contexts, and the entry spans among them."""

from __future__ import annotations

from functools import cached_property

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, TracerProvider

from otel_coverage import __version__
from otel_coverage.recording import Incomplete
from otel_coverage.settings import Settings
from otel_coverage.spool import service
from otel_coverage.tracing.attributes import ROLE
from otel_coverage.tracing.context import entry_awaiting_span, entry_of, playback_of, role_of, with_entry
from otel_coverage.tracing.entry import ROLES, Entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import ROUTES, Playback
from otel_coverage.tracing.recorder import Recorder, install, installed
from otel_coverage.tracing.span_end import SpanEndHook
from otel_coverage.tracing.writer import playback_attributes, write_playback

SPAN_BYTES = 256 * 1024
_ENTRIES = (SpanKind.SERVER, SpanKind.CONSUMER)


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

    Attributes:
        is_on_ours: whether the provider's exporters are ours, which say when a span is safe; a span on another one is
            in the hands of that one's exporters as soon as it has ended.

    Raises:
        ConfigurationError: a setting cannot be used, or the process records with other settings already.
    """

    is_on_ours = False

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

    def prepare(self) -> None:
        """Make what the first entry span needs, so that children forked for one entry each have it."""
        _ = self._tracer

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Mark the span where its context is traced, and hook its end so that what we write is written last."""
        if self._recorder is None or SpanEndHook.is_on(span):
            return
        if self._recorder is not installed():
            return  # uninstrumented since: a provider does not give its processors back
        if span.kind in _ENTRIES:
            self._recorder.end_startup()  # also where no hook of ours sees the request
        try:
            self._start(span, otel_context.get_current() if parent_context is None else parent_context, self._recorder)
        except Exception as error:
            log.failed("marking a span", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Remove the note that the span was begun where no exporter of ours is going to."""
        spool = None if self.is_on_ours else service.installed()
        if spool is not None:
            spool.slots.settled((span,))

    def _start(self, span: Span, context: Context, recorder: Recorder) -> None:
        awaiting = entry_awaiting_span.get()
        if awaiting is not None and awaiting.awaits_span(span.kind):
            recorder.has_traced |= not awaiting.is_prepared
            self._become_entry_span(span, awaiting, recorder)
            return
        entry = entry_of(context)
        if entry is None and awaiting is not None and awaiting.is_open and span.kind is awaiting.kind:
            entry = awaiting
            self._resume(entry, recorder)
        playback = playback_of(context, recorder.settings) or (entry.playback if entry is not None else None)
        if playback is None:
            return
        role = role_of(context)
        recorder.has_traced = recorder.has_traced or role != ROUTES  # which nobody has to wait for
        if entry is None and role is None and span.kind in ROLES and (span.parent is None or span.parent.is_remote):
            self._open_entry(span, playback, recorder)
            return
        role = role or ("producer" if span.kind is SpanKind.PRODUCER else None)
        span.set_attributes(playback_attributes(playback))
        SpanEndHook(span, lambda: _write_plain(span, playback, role))

    def _become_entry_span(self, span: Span, entry: Entry, recorder: Recorder) -> None:
        """The hook that opened the entry closes it."""
        recorder.tracer = self._tracer
        entry.writer.start(span, self._tracer, self._span_bytes)
        if not entry.is_prepared:
            _note_begun(span, entry)
        self._resume(entry, recorder)
        SpanEndHook(span, lambda: entry.writer.write_entry_span(span), entry.hold_span)

    @staticmethod
    def _resume(entry: Entry, recorder: Recorder) -> None:
        """Put the entry back into the context, which who made the span has made anew, from the headers alone.

        So do frameworks that trace themselves, as FastAPI does, where the entry has its span already: theirs is a
        second one of the same request.
        """
        if entry_of(otel_context.get_current()) is not entry:
            # never detached: the hook restores what was there before the entry
            otel_context.attach(with_entry(otel_context.get_current(), entry, recorder.settings))

    def _open_entry(self, span: Span, playback: Playback, recorder: Recorder) -> None:
        failure = None
        if isinstance(getattr(span, "_span_processor", None), ConcurrentMultiSpanProcessor):
            failure = Incomplete("concurrent_processors", "processors run in threads of their own: instrument the app")
        entry = recorder.open(playback, span.kind, failure)
        recorder.tracer = self._tracer
        entry.writer.start(span, self._tracer, self._span_bytes)
        _note_begun(span, entry)
        attached = with_entry(otel_context.get_current(), entry, recorder.settings)
        token = otel_context.attach(attached)

        def close() -> None:
            recorder.close(entry)
            entry.release_span()  # whatever happened: nobody else would end the span
            if otel_context.get_current() is attached:
                otel_context.detach(token)

        SpanEndHook(span, lambda: entry.writer.write_entry_span(span), entry.hold_span, close)

    @cached_property
    def _tracer(self) -> trace.Tracer:
        """Kept: some SDKs make a new one, at the price of a span, whenever they are asked."""
        return trace.get_tracer("otel_coverage", __version__, self._provider)


def adopt_entry_span(span: Span, recorder: Recorder, entry: Entry) -> None:
    """The entry span, which was started before this process was forked, is this process's, as is its entry."""
    recorder.has_traced = True
    SpanEndHook.adopt(span)
    _note_begun(span, entry)


def _note_begun(span: Span, entry: Entry) -> None:
    spool = service.installed()
    if spool is not None:
        spool.start(entry, span)


def _write_plain(span: Span, playback: Playback, role: str | None) -> None:
    if role is not None and span.status.status_code is not StatusCode.ERROR:  # what was not sent is not expected
        span.set_attribute(ROLE, role)
    write_playback(span, playback)
