"""The entry point that OpenTelemetry's auto-instrumentation loads before the application's first line."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from otel_coverage.errors import OtelCoverageError
from otel_coverage.instrumentation import RUN
from otel_coverage.instrumentation.setup import install_hooks, uninstrument
from otel_coverage.settings import Settings
from otel_coverage.tracing.log import logger


class CoverageInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instruments this process where recording is enabled; where it is not, only under ``otel-coverage run``."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: each package is hooked when it is imported, if it is."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        try:
            settings = Settings.load()
            if settings.enabled or os.environ.get(RUN) == "1":
                install_hooks(settings, auto=True)
        except OtelCoverageError as error:
            logger.error("otel-coverage: this process is not traced: %s", error)

    def _uninstrument(self, **kwargs: Any) -> None:
        uninstrument()
