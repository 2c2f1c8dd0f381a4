"""What each profile adds to the others, and which others execute all that it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from otel_coverage.reporting.executed import ExecutedFunctions


def redundancy(executed: ExecutedFunctions, doubtful: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of the named query ``redundancy``: the profiles, those that add the least first.

    Args:
        executed: who executes what.
        doubtful: profiles that may execute more than is known.
    """
    unique = [0] * len(executed.profiles)
    for profiles in executed.by_symbol:
        if len(profiles) == 1:
            unique[profiles[0]] += 1
    doubted = set(doubtful)
    sets = executed.sets
    rows = [
        {
            "profile": name,
            "functions": own.bit_count(),
            "unique_functions": unique[number],
            "contained_in": [
                executed.profiles[other]
                for other, others in enumerate(sets)
                if own and other != number and own & others == own
            ],
            "complete": name not in doubted,
        }
        for number, (name, own) in enumerate(zip(executed.profiles, sets, strict=True))
    ]
    return sorted(rows, key=_position)


def _position(row: Mapping[str, Any]) -> tuple[int, int, str]:
    return row["unique_functions"], row["functions"], row["profile"]
