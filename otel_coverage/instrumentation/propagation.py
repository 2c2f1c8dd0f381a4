"""Context propagation between our own hooks: injecting the current context, and running in an extracted one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import cast

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span as SDKSpan
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from otel_coverage import __version__
from otel_coverage.tracing.context import awaiting_span, entry_of, playback_of, with_entry, without_playback
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.entry_point import Finder
from otel_coverage.tracing.export.provider import flush, may_start_before_fork, spool_from_here
from otel_coverage.tracing.log import log
from otel_coverage.tracing.processor import adopt_entry_span
from otel_coverage.tracing.recorder import Recorder, installed

FLUSH_SECONDS = 15.0  # longer than the OTLP exporter's default timeout of 10 s, so that its result is known

# whatever OTEL_PROPAGATORS says: what one of our hooks injects, another extracts
_propagators = (TraceContextTextMapPropagator(), W3CBaggagePropagator())

_ahead: tuple[object, Context] | None = None  # a carrier, and what is in it


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A span that was started for a child that is forked next.

    Attributes:
        carrier: whose child the span is.
        context: outside of the span.
        inside: with the span.
        span: itself.
        entry: that it belongs to; None where nothing is recorded.
    """

    carrier: object
    context: Context
    inside: Context
    span: Span
    entry: Entry | None


_prepared: _Prepared | None = None


def inject(context: Context | None = None) -> dict[str, str]:
    """The current context as headers, for a message that no instrumentation sees.

    Send them with the message; the receiver works on it in a block of :func:`attached`.

    Args:
        context: another one than the current.

    Returns:
        ``traceparent``, ``tracestate`` and ``baggage``, those that there are; empty outside of any trace. Where a token
        is set the baggage holds a signature made with it, never the token.
    """
    carrier: dict[str, str] = {}
    for propagator in _propagators:
        propagator.inject(carrier, context)
    return carrier


def extract(carrier: object, context: Context) -> Context:
    """``context`` with what :func:`inject` wrote; anything but a mapping of headers changes nothing."""
    if _ahead is not None and _ahead[0] is carrier and not context:
        return _ahead[1]
    if isinstance(carrier, Mapping):
        for propagator in _propagators:
            context = propagator.extract(carrier, context)
    return context


def extract_ahead(carrier: object) -> None:
    """Have the next :func:`extract` of the same carrier into nothing take no time, also in a forked child."""
    global _ahead
    _ahead = (carrier, extract(carrier, Context())) if isinstance(carrier, Mapping) else None


@contextmanager
def attached(carrier: Mapping[str, str], name: str = "attached") -> Iterator[Span]:
    """Run this block in the sender's trace, and record it for the sender's playback.

    The block gets a CONSUMER span, on OpenTelemetry's global tracer provider; an exception is recorded on it and raised
    on. Where the carrier has no playback, or one without the signature that a token requires, nothing is recorded.

    Args:
        carrier: what :func:`inject` returned at the sender's.
        name: of the span.

    Yields:
        The span.
    """
    tracer = trace.get_tracer("otel_coverage", __version__)
    with start_entry_span(carrier, Context(), installed(), tracer, name, SpanKind.CONSUMER) as span:
        try:
            yield trace.INVALID_SPAN if span is None else span
        except BaseException as error:
            record_error(error)
            raise


@contextmanager
def prepared_entry_span(
    carrier: object,
    recorder: Recorder | None,
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Iterator[None]:
    """A child that is forked in this block goes on with what starts here, by :func:`start_entry_span`. Never raises.

    What runs for the first time in a forked child, and all that it writes to, reference counts included, makes that
    child copy pages: to start the span there takes ten times as long. In this process the span never ends.

    Args: as those of :func:`start_entry_span`, of which this one has no context.
    """
    global _prepared
    extract_ahead(carrier)
    try:
        if may_start_before_fork(tracer):
            _prepared = _prepare(carrier, recorder, tracer, name, kind, attributes)
    except Exception as error:
        log.failed(f"preparing the span {name!r}", error)
    try:
        yield
    finally:
        prepared, _prepared = _prepared, None
        if prepared is not None:
            vars(prepared.span).pop("end", None)  # our hook, which refers to the span


def _prepare(
    carrier: object,
    recorder: Recorder | None,
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, AttributeValue] | None,
) -> _Prepared | None:
    context = extract(carrier, Context())
    entry = None
    if recorder is not None:
        playback = playback_of(context, recorder.settings)
        if playback is None:
            context = without_playback(context)
        else:
            entry = recorder.prepare_entry(playback, kind)
            if entry is None:
                return None
            context = with_entry(context, entry, recorder.settings)
    token = otel_context.attach(context)
    try:
        with nullcontext() if entry is None else awaiting_span(entry):
            span = tracer.start_span(name, kind=kind, attributes=attributes)
        return _Prepared(carrier, context, trace.set_span_in_context(span), span, entry)
    finally:
        otel_context.detach(token)


def _adopted(carrier: object, context: Context, recorder: Recorder | None) -> _Prepared | None:
    """What was prepared for this process before it was forked, which is open now; None where nothing was."""
    global _prepared
    prepared, _prepared = _prepared, None
    if prepared is None or prepared.carrier is not carrier or context:
        return None
    entry = prepared.entry
    if entry is not None:
        if recorder is None or not recorder.adopt(entry):
            return None
        adopt_entry_span(cast("SDKSpan", prepared.span), recorder, entry)
    return prepared


@contextmanager
def start_entry_span(
    carrier: object,
    context: Context,
    recorder: Recorder | None,
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, AttributeValue] | None = None,
    find: Finder | None = None,
) -> Iterator[Span | None]:
    """Run this block in a carrier's context and in a span of its own, and record it where that context is traced.

    Args:
        carrier: headers; anything but a mapping has none.
        context: what the headers are extracted into.
        recorder: None where nothing is recorded.
        tracer: makes the span, a child of the carrier's.
        name: of the span.
        kind: of the span; ``coverage.role`` follows from it.
        attributes: of the span.
        find: the entry point, when the span ends.

    Yields:
        The span; None where it could not be started, which is logged.
    """
    entry = span = token = None
    if recorder is not None:
        recorder.end_startup()
    try:
        prepared = _adopted(carrier, context, recorder)
        if prepared is not None:
            entry, span = prepared.entry, prepared.span
            token = otel_context.attach(prepared.context)
            inside = otel_context.attach(prepared.inside)
        else:
            context = extract(carrier, context)
            playback = None
            if recorder is not None:
                playback = playback_of(context, recorder.settings)
                if playback is None:
                    context = without_playback(context)
            if recorder is not None and playback is not None:
                entry = recorder.open(playback, kind)
                context = with_entry(context, entry, recorder.settings)
            token = otel_context.attach(context)
            with nullcontext() if entry is None else awaiting_span(entry):
                span = tracer.start_span(name, kind=kind, attributes=attributes)
            inside = otel_context.attach(trace.set_span_in_context(span))
        if entry is not None and find is not None:
            entry.found_by(find)
    except Exception as error:
        log.failed(f"starting the span {name!r}", error)
    try:
        yield span
    finally:
        if span is not None:
            otel_context.detach(inside)
            span.end()
        if token is not None:
            otel_context.detach(token)
        if recorder is not None and entry is not None:
            recorder.close(entry)


def is_traced(recorder: Recorder) -> bool:
    """Whether the current context belongs to a playback."""
    context = otel_context.get_current()
    return entry_of(context) is not None or playback_of(context, recorder.settings) is not None


def finish_process(recorder: Recorder | None) -> None:
    """Hand on what belongs to playbacks, in a process that is about to leave by ``os._exit``: to the spool, if any.

    Where nothing of one was traced in it, nobody waits for its spans, but they are appended to the spool, too.
    """
    is_traced_process = recorder is not None and recorder.has_traced
    if recorder is not None and is_traced_process:
        recorder.drain()
        recorder.report(only_dropped=True)
    if spool_from_here() or is_traced_process:
        flush(FLUSH_SECONDS)


def record_error(error: BaseException) -> None:
    """Record an exception on the current span, and set its status."""
    span = trace.get_current_span()
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
