"""A recording: what one context of execution has run so far, and how engines find the one that runs now."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final, NamedTuple

from otel_coverage.recording.executed import Executed


class Incomplete(NamedTuple):
    """Why something that belongs to a recording is known to be missing.

    Attributes:
        reason: a code in snake case, the same for all cases of a kind, so that they can be grouped.
        detail: what happened, for people.
    """

    reason: str
    detail: str


class RecordingSlot:
    """What the callbacks of engine ``monitoring`` keep for one recording.

    Attributes:
        bit: the recording's bit in every mask; 0 once it has ended, so that code that runs late sets nothing.
        entered: the code objects that the recording entered, by ``id()``; it keeps them alive.
    """

    __slots__ = ("bit", "entered")

    def __init__(self) -> None:
        self.bit = 0
        self.entered: dict[int, CodeType] = {}


NO_SLOT: Final = RecordingSlot()


class Recording:
    """Open from its engine's ``begin`` to its ``end``; readable at any time, from any thread.

    Attributes:
        engine_name: ``monitoring`` or ``coverage``.
        survives_fork: whether a forked child keeps what it executed; there, too, nothing more is recorded in it.
        incomplete: why something that belongs here is known to be missing; None while nothing is.
        branch: whether what it executed includes arcs.
        slot: what the callbacks of engine ``monitoring`` know about it.
    """

    engine_name: str = "none"
    survives_fork: bool = False
    incomplete: Incomplete | None = None
    branch: bool = False
    slot: RecordingSlot = NO_SLOT

    def mark_incomplete(self, reason: str, detail: str) -> None:
        """Note that something that belongs here is missing; see :class:`Incomplete`. The first reason stays."""
        if self.incomplete is None:
            self.incomplete = Incomplete(reason, detail)

    def executed(self) -> Executed:
        """What ran until now. May be called while the recording is open, and after it ended."""
        return Executed()


@dataclass(frozen=True, slots=True)
class CurrentRecording:
    """Where an engine finds the recording that the running code belongs to.

    Attributes:
        variable: holds the recording itself (``key`` None), or a mapping with the recording under ``key``: so an
            engine can read a tracing library's context without knowing the library. A mapping whose type supports
            weak references must be immutable, as OpenTelemetry's contexts are: the callbacks in C look into each once.
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
