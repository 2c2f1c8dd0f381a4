"""The choice of the engine that serves on this interpreter."""

from __future__ import annotations

import sys

from otel_coverage.errors import ConfigurationError
from otel_coverage.recording.engine import Engine
from otel_coverage.recording.recording import CurrentRecording
from otel_coverage.settings import EngineChoice, Granularity
from otel_coverage.source import SourceTree


def open_engine(
    choice: EngineChoice,
    granularity: Granularity,
    source: SourceTree,
    current: CurrentRecording,
    *,
    branch: bool = False,
    named_by: str = "OTEL_COVERAGE_ENGINE",
) -> Engine:
    """The engine that serves ``choice`` on this interpreter; nothing is hooked before its first ``begin``.

    Args:
        choice: the engine that the settings name, or ``auto``.
        granularity: what it records.
        source: the files whose code it records.
        current: where it finds the running code's recording.
        branch: whether to record arcs too, where the engine can; its own ``branch`` says whether it does.
        named_by: the setting that chooses the engine, for error messages.

    Raises:
        ConfigurationError: the engine cannot run here (``monitoring`` before 3.12, any without the GIL).
    """
    version = sys.version.split()[0]
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise ConfigurationError(
            f"no engine is exact without the GIL, which is off in this CPython {version}; set PYTHON_GIL=1"
        )
    if sys.version_info < (3, 12) and choice == "monitoring":
        raise ConfigurationError(
            f"{named_by}: engine 'monitoring' needs CPython 3.12 or later, this is {version}; "
            "set OTEL_COVERAGE_ENGINE=coverage"
        )

    def open_coverage() -> Engine:
        from otel_coverage.recording.coverage import CoverageEngine  # coverage.py takes a while to import

        return CoverageEngine(granularity, source, current, branch=branch)

    if sys.version_info < (3, 12) or choice == "coverage":
        return open_coverage()

    from otel_coverage.recording.monitoring import MonitoringEngine

    return MonitoringEngine(granularity, source, current, open_coverage if choice == "auto" else None, branch=branch)
