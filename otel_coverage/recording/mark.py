"""How callbacks know a recording: a bit, and the code that it entered."""

from __future__ import annotations

from types import CodeType
from typing import Final


class Mark:
    """A recording in the eyes of :class:`~otel_coverage.recording.callbacks.Callbacks`.

    Attributes:
        bit: the recording's bit in every mask; 0 once it ended, so that late code finds nothing to set.
        entered: the code objects that the recording entered, by ``id()``: it keeps them alive.
    """

    __slots__ = ("bit", "entered")

    def __init__(self) -> None:
        self.bit = 0
        self.entered: dict[int, CodeType] = {}


NO_MARK: Final = Mark()
