"""What a user gets: a span processor on a provider of their own, which writes what ran on the span of the request."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind, Tracer

from benchmarks.recorder.tools import Tool
from otel_coverage import CoverageSpanProcessor
from otel_coverage.settings import Granularity, Settings
from otel_coverage.tracing import recorder


class PublicApi(Tool):
    """``CoverageSpanProcessor`` on a provider without exporter. Compared with the same provider without it.

    Args:
        name: as the table shows it.
        granularity: what is recorded.
        is_traced: whether baggage names a playback.

    Attributes:
        is_traced: see the argument.
    """

    spares_others = True
    every_round = True

    def __init__(self, name: str, granularity: Granularity, *, is_traced: bool = True) -> None:
        self.name = name
        self.lines = granularity == "line"
        self.is_traced = is_traced
        self._granularity = granularity
        self._traced = Context()
        for key, value in {"playback.profile": "benchmark", "playback.run_id": "1"}.items():
            self._traced = baggage.set_baggage(key, value, self._traced)
        self._context = self._traced if is_traced else Context()
        self._alone = TracerProvider().get_tracer("benchmark")
        self._tracer: Tracer
        self._ended = _LastSpan()

    def start(self, folder: Path) -> None:
        settings = Settings.load(enabled=True, source=[str(folder)], granularity=self._granularity)
        provider = TracerProvider()
        provider.add_span_processor(CoverageSpanProcessor(settings, tracer_provider=provider))
        provider.add_span_processor(self._ended)
        self._tracer = provider.get_tracer("benchmark")
        self._serve(self._tracer, self._traced, lambda: None)  # the first traced one of the process

    def plain(self, request: Callable[[], object]) -> None:
        self._serve(self._alone, self._context, request)

    def record(self, request: Callable[[], object]) -> Any:
        self._serve(self._tracer, self._context, request)
        return self._ended.of_thread.get(None)

    def hits(self, recorded: Any) -> set[str] | set[int]:
        if not self.lines:
            return {name.partition(":")[2].partition("@")[0] for name in recorded["coverage.functions"]}
        found: set[int] = set()
        for element in recorded["coverage.lines"]:
            for part in element.rpartition(":")[2].split(","):
                first, _, last = part.partition("-")
                found.update(range(int(first), int(last or first) + 1))
        return found

    def idle(self) -> Callable[[], None]:
        outside = contextvars.copy_context()
        span = outside.run(self._tracer.start_span, "idle", self._traced, SpanKind.SERVER)
        return lambda: outside.run(span.end)

    def finish(self) -> None:
        recorder.uninstall()

    @staticmethod
    def _serve(tracer: Tracer, context: Context, request: Callable[[], object]) -> None:
        token = otel_context.attach(context)
        try:
            with tracer.start_as_current_span("request", kind=SpanKind.SERVER):
                request()
        finally:
            otel_context.detach(token)


class _LastSpan(SpanProcessor):
    """Keeps the attributes of the span that each thread ended last."""

    def __init__(self) -> None:
        self.of_thread: contextvars.ContextVar[Any] = contextvars.ContextVar("attributes")

    def on_end(self, span: ReadableSpan) -> None:
        """See the class."""
        self.of_thread.set(span.attributes)
