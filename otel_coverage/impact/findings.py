"""What a change concerns: functions, and profiles to replay, with the reasons."""

from __future__ import annotations

from dataclasses import dataclass

from otel_coverage.impact.differing import DELETED
from otel_coverage.impact.recorded import EntryPoint


@dataclass(frozen=True, slots=True)
class Reason:
    """Why profiles are to be replayed.

    Attributes:
        code: one that groups.
        detail: a sentence.
        file: what changed, below the repository's folder; empty where it is not a file.
        symbol: ``module:qualname`` of the function; empty for none.
        profiles: which, sorted.
        everyone: whether all are, whatever they execute.
    """

    code: str
    detail: str
    file: str = ""
    symbol: str = ""
    profiles: tuple[str, ...] = ()
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class ChangedFunction:
    """A function that was added, deleted or changed.

    Attributes:
        symbol: ``module:qualname``.
        change: ``added``, ``deleted`` or ``changed``.
        file: below the repository's folder.
        line, end_line: where it stands now; where it stood, if it was deleted.
        profiles: those that execute it, sorted.
        at_start: whether it runs when a process starts.
        entry_points: the routes, jobs and commands that lead to it, sorted.
    """

    symbol: str
    change: str
    file: str
    line: int
    end_line: int
    profiles: tuple[str, ...]
    at_start: bool
    entry_points: tuple[EntryPoint, ...]

    @property
    def is_risk(self) -> bool:
        """Whether no profile is known to execute what is there now."""
        return self.change != DELETED and not self.profiles and not self.at_start


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change concerns.

    Attributes:
        profiles: all that are known, sorted.
        reasons: why some are to be replayed.
        functions: what became of functions, by file and line.
        inert: files whose difference the interpreter does not see, or that the settings say nobody reads.
        files: how many files differ.
    """

    profiles: tuple[str, ...]
    reasons: tuple[Reason, ...] = ()
    functions: tuple[ChangedFunction, ...] = ()
    inert: tuple[str, ...] = ()
    files: int = 0

    @property
    def selected(self) -> dict[str, list[Reason]]:
        """The profiles to replay, by name, with their reasons."""
        found: dict[str, list[Reason]] = {}
        for reason in self.reasons:
            for name in reason.profiles:
                found.setdefault(name, []).append(reason)
        return dict(sorted(found.items()))

    @property
    def spared(self) -> list[str]:
        """The profiles that need no replay."""
        selected = self.selected
        return [name for name in self.profiles if name not in selected]

    @property
    def not_reached(self) -> list[ChangedFunction]:
        """Functions that were changed or added and that no profile executes."""
        return [each for each in self.functions if each.is_risk]

    @property
    def entry_points(self) -> list[EntryPoint]:
        """The routes, jobs and commands that lead to what changed."""
        return sorted({each for function in self.functions for each in function.entry_points})
