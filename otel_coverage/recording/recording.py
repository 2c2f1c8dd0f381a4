"""A recording: what one entry span's context has executed so far."""

from __future__ import annotations

from otel_coverage.recording.executed import Executed


class Recording:
    """Open from its engine's ``begin`` to its ``end``; readable at any time, from any thread.

    Attributes:
        engine_name: ``monitoring`` or ``coverage``.
        incomplete_reason: why something that belongs here is known to be missing; None while nothing is.
    """

    engine_name: str
    incomplete_reason: str | None

    def executed(self) -> Executed:
        """What ran until now. May be called while the recording is open, and after it ended."""
        raise NotImplementedError
