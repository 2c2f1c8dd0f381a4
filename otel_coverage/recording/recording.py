"""A recording: what one entry span's context has executed so far."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from otel_coverage.recording.executed import Executed
from otel_coverage.recording.mark import NO_MARK, Mark


class Incomplete(NamedTuple):
    """Why something that belongs to a recording is known to be missing.

    Attributes:
        reason: a code in snake case, the same for all cases of a kind, so that they can be grouped.
        detail: what happened, for people.
    """

    reason: str
    detail: str


class Recording:
    """Open from its engine's ``begin`` to its ``end``; readable at any time, from any thread.

    Attributes:
        engine_name: ``monitoring`` or ``coverage``.
        follows_contexts: whether it may stay open while the thread that it began on does something else.
        incomplete: why something that belongs here is known to be missing; None while nothing is.
        branch: whether what it executed includes arcs.
        mark: what the callbacks of engine ``monitoring`` know the recording by.
    """

    engine_name: ClassVar[str] = "none"
    follows_contexts: ClassVar[bool] = False
    incomplete: Incomplete | None = None
    branch: bool = False
    mark: Mark = NO_MARK

    def mark_incomplete(self, reason: str, detail: str) -> None:
        """Something that belongs here is missing; see :class:`Incomplete`. The first reason stays."""
        if self.incomplete is None:
            self.incomplete = Incomplete(reason, detail)

    def executed(self) -> Executed:
        """What ran until now. May be called while the recording is open, and after it ended."""
        return Executed()
