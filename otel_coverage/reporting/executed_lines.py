"""Which profiles execute each line, by numbers: tens of millions of pairs, asked for some files at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from otel_coverage.reporting.arrow import name
from otel_coverage.reporting.executed import Ask

_PAIRS = 5_000_000  # of a line and a profile that the engine groups at a time, thirty bytes each and more

# profiles that came in since their names were asked for are left out
_SQL = """
SELECT file, arraySort(groupArray(line)) AS lines, profiles
FROM (
    SELECT n.file AS file, line, arraySort(groupUniqArray(n.number)) AS profiles
    FROM (
        SELECT file, lines, toUInt32(transform(
            toString(profile), {names:Array(String)}, range(length({names:Array(String)})), 0
        )) AS number
        FROM counted_lines
        WHERE namespace = {namespace:String} AND revision = {revision:String} AND profile IN {names:Array(String)}
            AND cityHash64(file) % {parts:UInt32} = {part:UInt32}
    ) AS n
    ARRAY JOIN lines AS line
    GROUP BY file, line
)
GROUP BY file, profiles
ORDER BY file, lines[1], profiles
"""
_SCHEMA = pa.schema({"file": pa.binary(), "lines": pa.list_(pa.uint32()), "profiles": pa.list_(pa.uint32())})


def executed_lines(ask: Ask, profiles: Sequence[str], pairs: int) -> Iterator[tuple[str, list[int], list[int]]]:
    """Each file with lines that the same profiles execute, and the numbers of these, ascending.

    Args:
        ask: answers a statement about a revision.
        profiles: all profiles, sorted by name; numbers are positions in it.
        pairs: how many lines all profiles execute, each counted for each of them.
    """
    parts = 1 + pairs // _PAIRS
    for part in range(parts if profiles else 0):  # `transform` takes no empty arrays
        table = ask(_SQL, _SCHEMA, names=list(profiles), parts=parts, part=part)
        files, lines, numbers = (table[column].to_pylist() for column in _SCHEMA.names)
        yield from zip(map(name, files), lines, numbers, strict=True)
