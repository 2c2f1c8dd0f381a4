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
    branch: bool

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
    choice: EngineChoice,
    granularity: Granularity,
    source: SourceTree,
    current: CurrentRecording,
    *,
    branch: bool = False,
) -> Engine:
    """The engine that serves ``choice`` on this interpreter; nothing is hooked before its first ``begin``.

    Args:
        choice: which one is asked for.
        granularity: what it records.
        source: whose code it records.
        current: where it finds the running code's recording.
        branch: whether arcs are wanted too; the engine's own ``branch`` says whether it records them.

    Raises:
        ConfigurationError: the engine asked for cannot run here (``monitoring`` before 3.12, any without the GIL).
    """
    from otel_coverage.recording.coverage import CoverageEngine

    version = sys.version.split()[0]
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise ConfigurationError(
            f"no engine is exact without the GIL, which is off in this CPython {version}; set PYTHON_GIL=1"
        )
    if sys.version_info < (3, 12):
        if choice == "monitoring":
            raise ConfigurationError(
                f"engine 'monitoring' needs CPython 3.12 or later, this is {version}; set OTEL_COVERAGE_ENGINE=coverage"
            )
        return CoverageEngine(granularity, source, current, branch=branch)
    if choice == "coverage":
        return CoverageEngine(granularity, source, current, branch=branch)

    from otel_coverage.recording.monitoring import MonitoringEngine

    fallback = CoverageEngine(granularity, source, current, branch=branch) if choice == "auto" else None
    return MonitoringEngine(granularity, source, current, fallback, branch=branch)
