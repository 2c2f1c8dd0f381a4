"""What a process that forks one child for each job loads before, so that the children need not."""

from __future__ import annotations

import sys

from tests.support.commands import call

PROGRAM = """
import sys
from otel_coverage.instrumentation.setup import wire
from otel_coverage.settings import Settings
from otel_coverage.tracing import provider, recorder
from opentelemetry.trace import SpanKind
from otel_coverage.tracing.playback import Playback
wire(Settings.load(enabled=True, source=["store_front"]))
mine = recorder.installed()
provider.prepare()
mine.prepare()
before = set(sys.modules)
with provider.configured_provider().get_tracer("test").start_as_current_span("work") as span:
    pass
entry = mine.open(Playback("checkout", "run"), SpanKind.CONSUMER)
mine.close(entry)
provider.flush(1)
print(sorted(name for name in set(sys.modules) - before if name.startswith(("grpc", "otel_coverage", "coverage"))))
"""


def test_a_child_for_one_job_finds_all_that_records_and_sends_loaded() -> None:
    done = call(
        [sys.executable, "-c", PROGRAM],
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    assert done.stdout.strip() == "[]", done.stderr
