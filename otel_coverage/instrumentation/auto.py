"""The entry point that OpenTelemetry's auto-instrumentation loads before the application's first line."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from otel_coverage.errors import OtelCoverageError
from otel_coverage.instrumentation import RUN
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.setup import install_hooks, uninstrument, when_imported
from otel_coverage.instrumentation.termination import Termination
from otel_coverage.settings import Settings
from otel_coverage.tracing.export.provider import LEAVING_SECONDS
from otel_coverage.tracing.log import logger


class CoverageInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instruments this process where recording is enabled; where it is not, only under ``otel-coverage run``."""

    _termination = Termination(LEAVING_SECONDS)
    _patches = Patches()

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: each package is hooked when it is imported, if it is."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        try:
            settings = Settings.load()
            if settings.enabled or os.environ.get(RUN) == "1":
                install_hooks(settings, auto=True)
                if os.environ.get(RUN) == "1":
                    self._termination.install()
                    when_imported("uvicorn.server", self._handle_signals)
        except OtelCoverageError as error:
            logger.error("otel-coverage: this process is not traced: %s", error)

    def _handle_signals(self, uvicorn: ModuleType) -> None:
        """Below gunicorn, whose workers of uvicorn's have taken the handler away.

        A server of uvicorn's raises the signal that stopped it once more, for the handler that was there before.
        """

        def serve(serve: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            self._termination.install()
            return serve(*args, **kwargs)

        self._patches.wrap(uvicorn.Server, "serve", serve)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._patches.undo()
        self._termination.remove()
        uninstrument()
