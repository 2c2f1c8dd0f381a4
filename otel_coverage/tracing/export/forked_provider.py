"""A tracer provider that costs its forked children nothing."""

from __future__ import annotations

import threading

from opentelemetry.sdk.trace import TracerProvider


class ForkedTracerProvider(TracerProvider):
    """The SDK's, but that a forked child does not detect anew what depends on the process.

    Its resource is a :class:`~otel_coverage.tracing.process_resource.ProcessResource`, which does that itself when it
    is asked.
    """

    def _handle_fork(self) -> None:
        self._tracers_lock = threading.Lock()
