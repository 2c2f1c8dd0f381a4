"""Tracing in the test's own process: a provider that keeps its spans; instrumentation is removed afterwards."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_coverage
from otel_coverage.settings import Settings
from otel_coverage.tracing.log import log

DATA = Path(__file__).parent.parent / "data"
STORE_FRONT = str(DATA / "store_front")
RECORDING = Settings(enabled=True, source=(STORE_FRONT,))


class Spans:
    """A provider, and the spans of it that have ended."""

    def __init__(self) -> None:
        self.provider = TracerProvider(shutdown_on_exit=False)
        self._kept = InMemorySpanExporter()

    def keep(self) -> None:
        """Add the processor that keeps spans; it runs after processors that were added before."""
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))

    def clear(self) -> None:
        """Drop the spans kept so far."""
        self._kept.clear()

    @property
    def ended(self) -> list[ReadableSpan]:
        """The spans kept so far, in the order of their ends; without those that tell routes, at a time of their own."""
        return [span for span in self._kept.get_finished_spans() if span.name != "routes"]

    def routes(self) -> list[list[str]]:
        """What was told of routes so far: kind, method, rule, endpoint and symbol of each."""
        told = [span for span in self._kept.get_finished_spans() if span.name == "routes"]
        texts: list[Any] = [(span.attributes or {})["coverage.routes"] for span in told]
        return [json.loads(text) for several in texts for text in several]

    def with_role(self, role: str) -> list[ReadableSpan]:
        """The spans with that coverage.role."""
        return [span for span in self.ended if (span.attributes or {}).get("coverage.role") == role]

    def only(self, role: str) -> ReadableSpan:
        """The one span with that coverage.role."""
        (span,) = self.with_role(role)
        return span

    def functions(self) -> frozenset[str]:
        """The symbols on all of them, as ``module:qualname``."""
        return frozenset().union(*(functions(span) for span in self.ended))


def functions(span: ReadableSpan) -> frozenset[str]:
    """The symbols on a span as ``module:qualname``, without the line, which changes with the source."""
    symbols = (span.attributes or {}).get("coverage.functions", ())
    assert isinstance(symbols, tuple)
    return frozenset(str(symbol).rpartition("@")[0] for symbol in symbols)


@pytest.fixture(autouse=True)
def fresh_context() -> Iterator[None]:
    """An empty context for each test: an entry span that starts stays attached until the hook around it is done.

    Nothing is counted yet, whatever went wrong in tests before.
    """
    log.clear()
    token = otel_context.attach(Context())
    yield
    otel_context.detach(token)


@pytest.fixture
def spans() -> Iterator[Spans]:
    """A provider that keeps its spans; `uninstrument()` is called after the test."""
    spans = Spans()
    spans.keep()
    try:
        yield spans
    finally:
        otel_coverage.uninstrument()
        spans.provider.shutdown()
        log.clear()


@pytest.fixture
def store_front(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the package ``store_front`` importable; a test that imports it gets new modules."""
    monkeypatch.syspath_prepend(str(DATA))
    for name in [name for name in sys.modules if name.partition(".")[0] == "store_front"]:
        monkeypatch.delitem(sys.modules, name)
