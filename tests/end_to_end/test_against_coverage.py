"""Functions and lines of requests and jobs, compared with coverage.py in processes without the recorder."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end import expected
from tests.end_to_end.played import Played

# coverage.py measures each profile alone; the recorder one after the other, and all seven concurrently
PLAYED = pytest.mark.parametrize(
    "how",
    [
        pytest.param("played", id="gthread"),
        pytest.param("played_at_once", id="gthread at once"),
        pytest.param("played_by_greenlets", id="gevent", marks=pytest.mark.since(3, 12)),
        pytest.param("played_at_once_by_greenlets", id="gevent at once", marks=pytest.mark.since(3, 12)),
    ],
)


def test_the_reference_does_not_import_the_recorder(coverage_reference: dict[str, Any]) -> None:
    modules = coverage_reference["recorder_modules"]
    assert len([name for name in modules if name.startswith("web.")]) == 1
    assert len([name for name in modules if name.startswith("worker.")]) == 13  # one process for each job
    assert not any(modules.values())


@pytest.mark.row("example application as coverage.py finds it", "functions")
@PLAYED
def test_functions_of_requests_and_jobs_equal_coverages(
    how: str, coverage_reference: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    played: Played = request.getfixturevalue(how)
    assert played.functions == {
        (service, profile): frozenset(symbols)
        for service, profiles in coverage_reference["functions"].items()
        for profile, symbols in profiles.items()
    }
    assert all(row["complete"] for row in played.rows["runs"])


@pytest.mark.row("example application as coverage.py finds it", "lines")
@PLAYED
def test_lines_of_requests_and_jobs_equal_coverages(
    how: str, coverage_reference: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    played: Played = request.getfixturevalue(how)
    assert played.lines == {
        (service, profile, file): lines
        for service, profiles in coverage_reference["lines"].items()
        for profile, files in profiles.items()
        for file, lines in files.items()
    }


def test_coverage_agrees_with_the_matrix_written_by_hand(coverage_reference: dict[str, Any]) -> None:
    found: dict[str, set[str]] = {name: set() for name in expected.table()}
    for profiles in coverage_reference["functions"].values():
        for profile, symbols in profiles.items():
            for symbol in symbols:
                found.setdefault(expected.name_of(symbol), set()).add(profile)
    assert found == expected.table()
