"""Where an engine finds the recording that the running code belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from otel_coverage.recording.recording import Recording


@dataclass(frozen=True, slots=True)
class CurrentRecording:
    """The place in the context that names the running code's recording.

    Attributes:
        variable: holds the recording itself (``key`` None), or a mapping with the recording under ``key``: so an
            engine can read a tracing library's context without knowing the library. Callbacks in C look into a mapping
            of a type that can be weakly referenced but once: such a mapping never changes, as OpenTelemetry's contexts.
        key: the recording's key in that mapping.
    """

    variable: ContextVar[Any]
    key: str | None = None

    def get(self) -> Recording | None:
        """The recording of the code that runs now, or None."""
        value = self.variable.get(None)
        if self.key is not None and value is not None:
            value = value.get(self.key)
        return value if isinstance(value, Recording) else None
