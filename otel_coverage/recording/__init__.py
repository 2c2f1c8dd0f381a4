"""What ran inside one context: engines that record it exactly, whatever runs beside it.

Knows nothing of OpenTelemetry.
"""

from otel_coverage.recording.backend import Backend, select_backend
from otel_coverage.recording.engine import Engine
from otel_coverage.recording.executed import Arc, Executed
from otel_coverage.recording.factory import open_engine
from otel_coverage.recording.line_set import LineSet
from otel_coverage.recording.recording import CurrentRecording, Incomplete, Recording

__all__ = [
    "Arc",
    "Backend",
    "CurrentRecording",
    "Engine",
    "Executed",
    "Incomplete",
    "LineSet",
    "Recording",
    "open_engine",
    "select_backend",
]
