"""What became of a profile that was played, and of each of its steps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


class StepError(Exception):
    """A response was not as expected, or playback was stopped."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one step.

    Attributes:
        line: of the playback recording.
        method: as in the playback recording.
        path: as in the playback recording, placeholders included.
        status: of the first answer; None without one.
        final_status: of the last answer, after redirects; None without one.
        seconds: from the first attempt to the last answer.
        attempts: how often it was sent; 0 where an earlier step had failed.
        failure: the reason, in one line; None if it passed or was not sent.
    """

    line: int
    method: str
    path: str
    status: int | None = None
    final_status: int | None = None
    seconds: float = 0.0
    attempts: int = 0
    failure: str | None = None

    @property
    def word(self) -> str:
        """``passed``, ``failed`` or ``not sent``."""
        if self.failure is not None:
            return "failed"
        return "passed" if self.attempts else "not sent"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of playing one profile.

    Attributes:
        profile: its slug.
        run_id: of the playback run.
        run: the value of ``${run}``.
        requests: number of responses.
        traced: number of responses that say that the application traces the profile.
        jobs: number of finished jobs.
        seconds: duration.
        failure: the reason, in one line; None if it passed.
        steps: each of the profile's, in order.
    """

    profile: str
    run_id: str
    run: str
    requests: int
    traced: int
    jobs: int
    seconds: float
    failure: str | None = None
    steps: tuple[StepResult, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every response was as expected and all jobs succeeded."""
        return self.failure is None

    @property
    def word(self) -> str:
        """``passed`` or ``failed``, as in the attribute ``playback.outcome``."""
        return "passed" if self.passed else "failed"

    def as_json(self) -> dict[str, Any]:
        """The outcome without its steps, ready for JSON."""
        found = {**asdict(self), "seconds": round(self.seconds, 3), "outcome": self.word}
        del found["steps"]
        return found
