"""What each profile executed, one profile at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from otel_coverage.reporting.queries import RevisionQueries

Row = Mapping[str, Any]
Arc = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Executed:
    """What a profile executed.

    Attributes:
        row: the profile's row of the leaderboard.
        symbols: the functions, as rows of the reverse index, by module and line.
        lines: the lines of each file, by its path as in the store, sorted; None where lines were not recorded.
        arcs: the arcs of each file; None where not all of the profile was recorded with branches.
    """

    row: Row
    symbols: tuple[Row, ...]
    lines: Mapping[str, list[int]] | None
    arcs: Mapping[str, list[Arc]] | None

    @property
    def profile(self) -> str:
        """Its name."""
        return str(self.row["profile"])


def executed_by_profiles(queries: RevisionQueries) -> Iterator[Executed]:
    """Each profile, those that execute the most functions first.

    Raises:
        StoreError: the engine refuses.
    """
    functions = queries.executed
    numbers = dict(zip((row["profile"] for row in queries.profiles), functions.by_profile, strict=True))
    whole = {profile for profile, is_whole in queries.branches.items() if is_whole}
    lines = _by_profile(queries, "executed-lines")
    arcs = _by_profile(queries, "executed-arcs") if whole else {}
    bare = without_lines(queries)
    for row in queries.leaderboard:
        profile = row["profile"]
        taken = arcs.pop(profile, {})
        yield Executed(
            row,
            tuple(functions.rows[number] for number in numbers[profile]),
            None if profile in bare else lines.pop(profile, {}),
            {file: [(before, after) for before, after in pairs] for file, pairs in taken.items()}
            if profile in whole
            else None,
        )


def without_lines(queries: RevisionQueries) -> tuple[str, ...]:
    """Profiles that were recorded by function alone: a data file would make all their lines look missed."""
    return tuple(row["profile"] for row in queries.profiles if row["functions"] and not row["lines"])


def _by_profile(queries: RevisionQueries, name: str) -> dict[str, dict[str, list[Any]]]:
    rows = queries.ask(name).rows
    return {
        profile: {file: found for _, file, found in of_profile}
        for profile, of_profile in groupby(rows, key=lambda row: str(row[0]))
    }
