"""Tracing in the test's own process: a provider that keeps its spans, and nothing left hooked afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
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
    """A provider, and the spans that ended on it."""

    def __init__(self) -> None:
        self.provider = TracerProvider(shutdown_on_exit=False)
        self._kept = InMemorySpanExporter()

    def keep(self) -> None:
        """Begin to keep spans: from here on in the order of processors."""
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))

    def clear(self) -> None:
        """Forget the spans that ended."""
        self._kept.clear()

    @property
    def ended(self) -> list[ReadableSpan]:
        """All spans that ended."""
        return list(self._kept.get_finished_spans())

    def with_role(self, role: str) -> list[ReadableSpan]:
        """The spans with that coverage.role."""
        return [span for span in self.ended if (span.attributes or {}).get("coverage.role") == role]

    def only(self, role: str) -> ReadableSpan:
        """The one span with that coverage.role."""
        (span,) = self.with_role(role)
        return span

    def functions(self) -> frozenset[str]:
        """What all of them together say was executed."""
        return frozenset().union(*(functions(span) for span in self.ended))


def functions(span: ReadableSpan) -> frozenset[str]:
    """The symbols on a span, without their lines, so that a test can name them."""
    symbols = (span.attributes or {}).get("coverage.functions", ())
    assert isinstance(symbols, tuple)
    return frozenset(str(symbol).rpartition("@")[0] for symbol in symbols)


@pytest.fixture
def spans() -> Iterator[Spans]:
    """A provider that keeps its spans; whatever the test instruments is undone."""
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
    """Makes the package ``store_front`` importable, as freshly as in a new process."""
    monkeypatch.syspath_prepend(str(DATA))
    for name in [name for name in sys.modules if name.partition(".")[0] == "store_front"]:
        monkeypatch.delitem(sys.modules, name)
