"""A script: ends spans as fast as they are taken, each with the functions and lines of a request.

Arguments: spans a second (0: as many as are accepted), seconds, functions of a span. Prints how many spans it has
ended and the CPU seconds of its process, when all are delivered or given up.
"""

from __future__ import annotations

import json
import os
import sys
import time

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from benchmarks.pipeline.spans import attributes
from otel_coverage.settings import Settings
from otel_coverage.tracing.export import provider as providers

TOGETHER = 200  # spans between two flushes: fewer than the SDK's queue holds
TIMEOUT = 30.0  # seconds


def main() -> None:
    """End the spans."""
    rate, seconds, functions = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    tracer = make_provider().get_tracer("benchmark")
    given = [attributes(number, functions) for number in range(50)]
    ended, began = 0, time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        if rate and ended > now * rate:
            time.sleep(0.01)
            continue
        for _ in range(TOGETHER):
            tracer.start_span("GET /orders", kind=trace.SpanKind.SERVER, attributes=given[ended % len(given)]).end()
            ended += 1
        providers.flush(TIMEOUT)
    cpu = time.process_time()
    print(json.dumps({"ended": ended, "cpu": cpu, "seconds": time.monotonic() - began}), flush=True)
    os._exit(0)


def make_provider() -> TracerProvider:
    """Our provider, with the exporter that the environment names."""
    return providers.equip(Settings.load())


if __name__ == "__main__":
    main()
