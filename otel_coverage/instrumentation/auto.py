"""Zero-code: what OpenTelemetry's auto-instrumentation loads by entry point, before the application's first line."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from otel_coverage.errors import OtelCoverageError
from otel_coverage.instrumentation import RUN
from otel_coverage.instrumentation.setup import uninstrument, wire
from otel_coverage.settings import Settings
from otel_coverage.tracing.log import logger


class CoverageInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Wires this process. Where recording is off it leaves everything alone, unless ``otel-coverage run`` asks."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: what is not installed is not hooked."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        try:
            settings = Settings.load()
            if settings.enabled or os.environ.get(RUN) == "1":
                wire(settings, auto=True)
        except OtelCoverageError as error:
            logger.error("otel-coverage: nothing is traced here: %s", error)

    def _uninstrument(self, **kwargs: Any) -> None:
        uninstrument()
