"""What the recorder found in pages and jobs, against coverage.py in processes that never heard of the recorder."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end import expected
from tests.end_to_end.played import Played

# coverage.py measures each profile alone; ours one after the other and all seven at once
PLAYED = pytest.mark.parametrize(
    "how",
    [
        pytest.param("played", id="gthread"),
        pytest.param("played_at_once", id="gthread at once"),
        pytest.param("played_by_greenlets", id="gevent", marks=pytest.mark.since(3, 12)),
        pytest.param("played_at_once_by_greenlets", id="gevent at once", marks=pytest.mark.since(3, 12)),
    ],
)


def test_the_second_opinion_is_independent(second_opinion: dict[str, Any]) -> None:
    judged = second_opinion["judged"]
    assert len([name for name in judged if name.startswith("web.")]) == 1
    assert len([name for name in judged if name.startswith("worker.")]) == 13  # each job has a process of its own
    assert not any(judged.values())


@pytest.mark.row("example application as coverage.py finds it", "functions")
@PLAYED
def test_functions_are_those_that_coverage_finds_in_pages_and_in_jobs(
    how: str, second_opinion: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    played: Played = request.getfixturevalue(how)
    assert played.functions == {
        (service, profile): frozenset(symbols)
        for service, profiles in second_opinion["functions"].items()
        for profile, symbols in profiles.items()
    }
    assert all(row["complete"] for row in played.rows["runs"])


@pytest.mark.row("example application as coverage.py finds it", "lines")
@PLAYED
def test_lines_are_those_that_coverage_finds_in_pages_and_in_jobs(
    how: str, second_opinion: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    played: Played = request.getfixturevalue(how)
    assert played.lines == {
        (service, profile, file): lines
        for service, profiles in second_opinion["lines"].items()
        for profile, files in profiles.items()
        for file, lines in files.items()
    }


def test_coverage_agrees_with_the_matrix_worked_out_by_hand(second_opinion: dict[str, Any]) -> None:
    found: dict[str, set[str]] = {name: set() for name in expected.table()}
    for profiles in second_opinion["functions"].values():
        for profile, symbols in profiles.items():
            for symbol in symbols:
                found.setdefault(expected.name_of(symbol), set()).add(profile)
    assert found == expected.table()
