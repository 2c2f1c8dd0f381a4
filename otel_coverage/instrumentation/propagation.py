"""Context propagation between our own hooks: injecting the current context, and running in an extracted one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from otel_coverage import __version__
from otel_coverage.tracing.context import awaiting_span, entry_of, playback_of, with_entry, without_playback
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder, installed

FLUSH_SECONDS = 15.0  # longer than the OTLP exporter's default timeout of 10 s, so that its result is known

# whatever OTEL_PROPAGATORS says: what one of our hooks injects, another extracts
_propagators = (TraceContextTextMapPropagator(), W3CBaggagePropagator())


def inject() -> dict[str, str]:
    """The current context as headers, for a message that no instrumentation sees.

    Send them with the message; the receiver works on it in a block of :func:`attached`.

    Returns:
        ``traceparent``, ``tracestate`` and ``baggage``, those that there are; empty outside of any trace. Where a token
        is set the baggage holds a signature made with it, never the token.
    """
    carrier: dict[str, str] = {}
    for propagator in _propagators:
        propagator.inject(carrier)
    return carrier


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
def start_entry_span(
    carrier: object,
    context: Context,
    recorder: Recorder | None,
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, AttributeValue] | None = None,
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

    Yields:
        The span; None where it could not be started, which is logged.
    """
    entry = span = token = None
    try:
        context = _extracted(carrier, context)
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


def record_error(error: BaseException) -> None:
    """Record an exception on the current span, and set its status."""
    span = trace.get_current_span()
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


def _extracted(carrier: object, context: Context) -> Context:
    if isinstance(carrier, Mapping):
        for propagator in _propagators:
            context = propagator.extract(carrier, context)
    return context
