"""What ran inside one context: engines that record it exactly, whatever runs beside it.

Knows nothing of OpenTelemetry.
"""

from otel_coverage.recording.choosing import Implementation, implementation
from otel_coverage.recording.current import CurrentRecording
from otel_coverage.recording.engine import Engine, open_engine
from otel_coverage.recording.executed import Arc, Executed
from otel_coverage.recording.recording import Incomplete, Recording

__all__ = [
    "Arc",
    "CurrentRecording",
    "Engine",
    "Executed",
    "Implementation",
    "Incomplete",
    "Recording",
    "implementation",
    "open_engine",
]
