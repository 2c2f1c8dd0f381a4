"""Metrics about this package itself. Each test runs a process, since meter and tracer providers are global."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.tracing.test_provider import run

APPLICATION = """
import app
from opentelemetry import baggage, context, metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import SpanKind
reader = InMemoryMetricReader()
{before}
tracer = providers.equip(settings).get_tracer("t")
{after}
context.attach(baggage.set_baggage("playback.profile", "checkout"))
for _ in range(3):
    with tracer.start_as_current_span("work", context=context.get_current(), kind=SpanKind.SERVER):
        app.work()
providers.flush(10)
found = {{}}
data = reader.get_metrics_data()
for metric in (data.resource_metrics[0].scope_metrics[0].metrics if data else ()):
    for point in metric.data.data_points:
        key = " ".join([metric.name, *map(str, point.attributes.values())])
        found[key] = point.value if hasattr(point, "value") else point.count
print(json.dumps(found))
"""
CONFIGURE = "metrics.set_meter_provider(MeterProvider([reader]))"


def measured(folder: Path, before: str, after: str) -> dict[str, Any]:
    (folder / "app.py").write_text("def work():\n    return helper()\n\ndef helper():\n    return 1\n")
    found: dict[str, Any] = run(
        APPLICATION.format(before=before, after=after),
        folder,
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        PYTHONPATH=str(folder),
    )
    return found


def test_what_is_recorded_and_what_became_of_it_are_metrics_whenever_the_meter_provider_is_configured(
    tmp_path: Path,
) -> None:
    for before, after in ((CONFIGURE, ""), ("", CONFIGURE)):
        found = measured(tmp_path, before, after)
        assert found["otel_coverage.recordings"] == 3
        assert found["otel_coverage.functions"] == 6
        assert found["otel_coverage.spans spooled"] == 3
        assert found["otel_coverage.spans lost"] == found["otel_coverage.spans delivered"] == 0
        assert found["otel_coverage.bytes"] > 500
        assert found["otel_coverage.queue.size"] == 0
        assert found["otel_coverage.spool.size"] > found["otel_coverage.bytes"]
        stages = {key.split()[1]: value for key, value in found.items() if key.startswith("otel_coverage.duration")}
        assert stages["begin"] == 3
        assert stages["end"] >= 3
        assert stages["encode"] >= 1
        assert stages["export"] >= 1


def test_lost_spans_are_a_metric(tmp_path: Path) -> None:
    small = "settings = Settings(enabled=True, source=(os.getcwd(),), spool_bytes=1)"
    found = measured(tmp_path, f"{CONFIGURE}; {small}", "")
    assert found["otel_coverage.spans lost"] == 3
    assert found["otel_coverage.warnings spool_full"] >= 1


def test_without_a_meter_provider_no_duration_is_measured(tmp_path: Path) -> None:
    code = """
import sys
from otel_coverage.tracing.metrics import metrics
providers.equip(settings)
sys.modules.pop("opentelemetry.sdk.metrics", None)
print(json.dumps(metrics.start()))
"""
    assert run(code, tmp_path) == 0
