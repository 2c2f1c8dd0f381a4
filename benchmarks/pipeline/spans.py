"""Spans as a traced request ends them, with the functions and lines that it has executed."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

PROFILES = 10


def attributes(number: int, functions: int) -> dict[str, str | bool | int | Sequence[str]]:
    """The attributes of one span: ``functions`` of them, 20 a module, nine lines each."""
    executed = [(number * 7 + each) % 20_000 for each in range(functions)]
    symbols = sorted(
        f"shop.package{each // 400}.module{each // 20}:Service{each % 20}.handle_{each}@{10 + each % 20 * 30}"
        for each in executed
    )
    ranges: dict[str, list[str]] = {}
    for each in sorted(executed):
        path = f"shop/package{each // 400}/module{each // 20}.py"
        ranges.setdefault(path, []).append(f"{11 + each % 20 * 30}-{19 + each % 20 * 30}")
    return {
        "playback.profile": f"profile-{number % PROFILES}",
        "playback.run_id": "benchmark",
        "coverage.role": "server",
        "coverage.complete": True,
        "coverage.engine": "monitoring",
        "coverage.granularity": "line",
        "coverage.functions": symbols,
        "coverage.function_count": len(symbols),
        "coverage.lines": [f"{path}:{','.join(of_path)}" for path, of_path in ranges.items()],
        "coverage.line_count": 9 * len(symbols),
    }


def ended(count: int, functions: int) -> list[ReadableSpan]:
    """Spans that have ended."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "web"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("benchmark")
    for number in range(count):
        tracer.start_span("GET /orders", kind=trace.SpanKind.SERVER, attributes=attributes(number, functions)).end()
    return list(kept.get_finished_spans())
