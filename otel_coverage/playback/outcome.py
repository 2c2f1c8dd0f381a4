"""How a playback went."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """A profile that was played.

    Attributes:
        profile: its slug.
        run_id: the run that it was played in.
        run: the name that stood for the recorded one in addresses.
        requests: how many were answered.
        jobs: how many were waited for.
        seconds: how long it took.
        failure: why it failed, in a line; None where it passed.
    """

    profile: str
    run_id: str
    run: str
    requests: int
    jobs: int
    seconds: float
    failure: str | None = None

    @property
    def passed(self) -> bool:
        """Whether everything was answered as recorded and all jobs succeeded."""
        return self.failure is None

    @property
    def word(self) -> str:
        """``passed`` or ``failed``, as in the attribute ``playback.outcome``."""
        return "passed" if self.passed else "failed"

    def as_json(self) -> dict[str, Any]:
        """The outcome for a pipe."""
        return {**asdict(self), "seconds": round(self.seconds, 3), "outcome": self.word}
