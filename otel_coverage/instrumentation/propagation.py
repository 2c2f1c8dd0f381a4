"""Carrying a traced context over a boundary: what goes into a message, and running under it on the other side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from otel_coverage import __version__
from otel_coverage.tracing.context import entry_of, playback_of, with_entry, without_playback
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder, installed

FLUSH_SECONDS = 15.0  # longer than the OTLP exporter's default deadline of 10 s, so that its own verdict is heard

# these two, whatever OTEL_PROPAGATORS says: both ends are ours
_propagators = (TraceContextTextMapPropagator(), W3CBaggagePropagator())


def inject() -> dict[str, str]:
    """The current trace and its playback, for a message that no hook of ours can see.

    Put it where the receiver finds it, and there do the work under :func:`attached`.

    Returns:
        ``traceparent``, ``tracestate`` and ``baggage``, those that there are; empty outside of any trace. Where a token
        is set the baggage holds its signature, never the token.
    """
    found: dict[str, str] = {}
    for propagator in _propagators:
        propagator.inject(found)
    return found


@contextmanager
def attached(carrier: Mapping[str, str], name: str = "attached") -> Iterator[Span]:
    """Do in this block what a message asks for: under the sender's trace, recorded for the sender's playback.

    The block gets a CONSUMER span, on OpenTelemetry's global tracer provider. What it raises is noted on the span and
    goes on. A carrier without a playback, or with one that nobody vouches for, makes a plain span.

    Args:
        carrier: what :func:`inject` returned where the message was made.
        name: of the span.
    """
    tracer = trace.get_tracer("otel_coverage", __version__)
    with entry_span(carrier, Context(), installed(), tracer, name, SpanKind.CONSUMER) as span:
        try:
            yield trace.INVALID_SPAN if span is None else span
        except BaseException as error:
            note_failure(error)
            raise


@contextmanager
def entry_span(
    carrier: object,
    outside: Context,
    recorder: Recorder | None,
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Iterator[Span | None]:
    """A carrier's context: a span below the one that filled it, and a recording where it is traced.

    Args:
        carrier: headers; anything that is no mapping of text carries nothing.
        outside: what the context is, but for what the carrier holds.
        recorder: None where nothing is recorded.
        tracer: makes the span.
        name: of the span.
        kind: of the span; it decides on the role.
        attributes: of the span.

    Yields:
        The span; None where a failure of ours left none.
    """
    entry = span = token = None
    try:
        context = _extracted(carrier, outside)
        playback = None
        if recorder is not None:
            playback = playback_of(context, recorder.settings)
            if playback is None:
                context = without_playback(context)
        if recorder is not None and playback is not None:
            entry = recorder.open(playback, kind)
            context = with_entry(context, entry, recorder.settings)
        token = otel_context.attach(context)
        span = tracer.start_span(name, kind=kind, attributes=attributes)
        inside = otel_context.attach(trace.set_span_in_context(span))
    except Exception as error:
        log.failed(f"beginning {name!r}", error)
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


def note_failure(error: BaseException) -> None:
    """Tell the current span what was raised in it."""
    span = trace.get_current_span()
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


def _extracted(carrier: object, context: Context) -> Context:
    if isinstance(carrier, Mapping):
        for propagator in _propagators:
            context = propagator.extract(carrier, context)
    return context
