"""What each profile executed, one profile at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from otel_coverage.reporting.arrow import name
from otel_coverage.reporting.queries import RevisionQueries

Row = Mapping[str, Any]
Arc = tuple[int, int]

_PAIRS = 2_000_000  # of a profile and a line that are in memory at a time

# the named query executed-lines, of some profiles
_LINES = """
SELECT toString(profile) AS profile, file, arraySort(groupUniqArrayArray(lines)) AS lines
FROM counted_lines
WHERE namespace = {namespace:String} AND revision = {revision:String} AND profile IN {some:Array(String)}
GROUP BY profile, file
ORDER BY profile, file
"""
_SCHEMA = pa.schema({"profile": pa.string(), "file": pa.binary(), "lines": pa.list_(pa.uint32())})


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
    arcs = _arcs(queries) if whole else {}
    bare = without_lines(queries)
    for row, lines in _with_lines(queries):
        profile = row["profile"]
        taken = arcs.pop(profile, {})
        yield Executed(
            row,
            tuple(functions.rows[number] for number in numbers[profile]),
            None if profile in bare else lines,
            {file: [(before, after) for before, after in pairs] for file, pairs in taken.items()}
            if profile in whole
            else None,
        )


def without_lines(queries: RevisionQueries) -> tuple[str, ...]:
    """Profiles that were recorded by function alone: a data file would make all their lines look missed."""
    return tuple(row["profile"] for row in queries.profiles if row["functions"] and not row["lines"])


def _with_lines(queries: RevisionQueries) -> Iterator[tuple[Row, dict[str, list[int]]]]:
    """Each profile, in the order of the leaderboard, with its lines."""
    some: list[Row] = []
    pairs = 0
    for row in queries.leaderboard:
        some.append(row)
        pairs += row["lines"] or 0
        if pairs > _PAIRS:
            yield from _lines(queries, some)
            some, pairs = [], 0
    if some:
        yield from _lines(queries, some)


def _lines(queries: RevisionQueries, rows: Sequence[Row]) -> Iterator[tuple[Row, dict[str, list[int]]]]:
    table = queries.columns(_LINES, _SCHEMA, some=[row["profile"] for row in rows])
    owners, files = table["profile"].to_pylist(), [name(file) for file in table["file"].to_pylist()]
    places: dict[str, list[int]] = {}
    for place, owner in enumerate(owners):
        places.setdefault(owner, []).append(place)
    for row in rows:  # those of one are Python's at a time
        found = places.get(row["profile"], [])
        lines = table["lines"].take(pa.array(found, pa.int64())).to_pylist()
        yield row, dict(zip((files[place] for place in found), lines, strict=True))


def _arcs(queries: RevisionQueries) -> dict[str, dict[str, list[Any]]]:
    rows = queries.ask("executed-arcs").rows
    return {
        profile: {file: found for _, file, found in of_profile}
        for profile, of_profile in groupby(rows, key=lambda row: str(row[0]))
    }
