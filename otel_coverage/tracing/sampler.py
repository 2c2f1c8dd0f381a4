"""The sampler: spans of traced contexts are always sampled, all others as the application's own sampler decides."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from otel_coverage.tracing.context import entry_awaiting_span, entry_of, playback_of
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import installed


class CoverageSampler(Sampler):
    """Wraps another sampler; :func:`~otel_coverage.instrument` wraps the provider's own.

    Example: ``TracerProvider(sampler=CoverageSampler(ParentBased(TraceIdRatioBased(0.01))))``.

    Args:
        sampler: decides on the spans of untraced contexts; on those of traced ones it may add attributes.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """The other sampler's result; ``RECORD_AND_SAMPLE`` instead where it would drop a span of a traced context."""
        result = self.sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        if result.decision is Decision.RECORD_AND_SAMPLE or not _traced(parent_context, kind):
            return result
        kept = {**(attributes or {}), **(result.attributes or {})}  # a sampler that drops a span passes none on
        return SamplingResult(Decision.RECORD_AND_SAMPLE, kept, result.trace_state)

    def get_description(self) -> str:
        """``CoverageSampler{...}`` around the other sampler's description."""
        return f"CoverageSampler{{{self.sampler.get_description()}}}"


def wrap_sampler(provider: TracerProvider) -> None:
    """Wrap the provider's sampler, and that of the tracers it has made, in a :class:`CoverageSampler`."""
    if not isinstance(provider.sampler, CoverageSampler):
        _replace(provider, CoverageSampler(provider.sampler))


def unwrap_sampler(provider: TracerProvider) -> None:
    """Undo :func:`wrap_sampler`."""
    if isinstance(provider.sampler, CoverageSampler):
        _replace(provider, provider.sampler.sampler)


def _replace(provider: TracerProvider, sampler: Sampler) -> None:
    before, provider.sampler = provider.sampler, sampler
    for tracer in getattr(provider, "_tracers", {}).values():  # an SDK that keeps no tracers makes new ones
        if tracer.sampler is before:
            tracer.sampler = sampler


def _traced(parent_context: Context | None, kind: SpanKind | None) -> bool:
    """Whether the span that is about to start is one that the span processor will mark."""
    recorder = installed()
    if recorder is None:
        return False
    try:
        context = otel_context.get_current() if parent_context is None else parent_context
        if entry_of(context) is not None:
            return True
        awaiting = entry_awaiting_span.get()
        if awaiting is not None and kind is not None and awaiting.awaits_span(kind):
            return True
        return playback_of(context, recorder.settings) is not None
    except Exception as error:
        log.failed("sampling a span", error)
        return False
