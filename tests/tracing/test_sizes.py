"""Sets of any size arrive whole, with every message below gRPC's default limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Collector
from tests.tracing.test_provider import run

ENTRY = """
import large
from opentelemetry import baggage, context
from opentelemetry.trace import SpanKind
tracer = providers.equip(settings).get_tracer("t")
traced = baggage.set_baggage("playback.profile", "checkout", baggage.set_baggage("playback.run_id", "r1"))
with tracer.start_as_current_span("work", context=traced, kind=SpanKind.SERVER):
    large.work()
print(json.dumps(providers.flush(60)))
"""


@pytest.mark.parametrize(("functions", "lines"), [(1, 1), (500, 20), (5_000, 20_000), (50_000, 2)])
def test_an_entry_arrives_whole_however_much_it_executes(
    functions: int, lines: int, tmp_path: Path, collector: Collector
) -> None:
    names = [f"function_with_a_name_of_usual_length_{number}" for number in range(functions)]
    source = [f"def {name}(): pass" for name in names]
    source += ["def long():", *(f"    x = {line}\n" for line in range(lines))]
    source += ["def work():", "    for name in NAMES:", "        globals()[name]()", "    long()", f"NAMES = {names!r}"]
    (tmp_path / "large.py").write_text("\n".join(source))
    environment = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    assert run(ENTRY, tmp_path, PYTHONPATH=str(tmp_path), **environment) is True

    def arrived(spans: list[Any]) -> set[str]:
        return {name for span in spans if span.role in ("server", "part") for name in span.functions}

    spans = collector.wait_for(lambda spans: len(arrived(spans)) >= functions + 2)
    assert arrived(spans) == {f"large:{name}" for name in [*names, "long", "work"]}
    entries = [span for span in spans if span.role in ("server", "part")]
    assert {span.attributes["coverage.complete"] for span in entries} == {True}
    assert sum(span.attributes["coverage.function_count"] for span in entries) == functions + 2
    assert sum(span.attributes["coverage.line_count"] for span in entries) == functions + lines + 3
    assert max(collector.message_sizes) <= 4 * 1024 * 1024
