"""The engines' common face, and the choice between them."""

from __future__ import annotations

import sys
from typing import Protocol

from otel_coverage.errors import ConfigurationError
from otel_coverage.recording.current import CurrentRecording
from otel_coverage.recording.recording import Recording
from otel_coverage.settings import EngineChoice, Granularity
from otel_coverage.source import SourceTree


class Engine(Protocol):
    """Records which code runs in which recording. One a process; safe to use from any thread."""

    name: str
    granularity: Granularity

    def begin(self) -> Recording:
        """Open a recording. From here on, code that finds it through :class:`CurrentRecording` is recorded in it."""
        ...

    def end(self, recording: Recording) -> None:
        """Close a recording; what it executed stays readable. Ending twice is fine."""
        ...

    def close(self) -> None:
        """Give back every tool id, callback and tracer. Open recordings end."""
        ...


def open_engine(
    choice: EngineChoice, granularity: Granularity, source: SourceTree, current: CurrentRecording
) -> Engine:
    """The engine that serves ``choice`` on this interpreter; nothing is hooked before its first ``begin``.

    Raises:
        ConfigurationError: the engine asked for cannot run here (``monitoring`` before CPython 3.12).
    """
    if choice == "coverage" or (choice == "auto" and sys.version_info < (3, 12)):
        raise ConfigurationError("engine 'coverage' is not built yet")
    if sys.version_info < (3, 12):
        raise ConfigurationError(
            f"engine 'monitoring' needs CPython 3.12 or later, this is {sys.version.split()[0]}; "
            "set OTEL_COVERAGE_ENGINE=coverage"
        )
    from otel_coverage.recording.monitoring import MonitoringEngine

    return MonitoringEngine(granularity, source, current)
