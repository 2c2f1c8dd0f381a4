"""The demo's coverage, compared with the matrix written by hand."""

from __future__ import annotations

import pytest

from tests.end_to_end import expected
from tests.end_to_end.played import Played


def executed(played: Played) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {name: set() for name in expected.table()}
    for row in played.rows["matrix"]:
        found.setdefault(expected.name_of(row["symbol"]), set()).add(row["profile"])
    return found


def test_each_profile_executes_the_expected_functions(played: Played) -> None:
    assert executed(played) == expected.table()


def test_functions_that_no_profile_executes_are_gaps(played: Played) -> None:
    gaps = [f"{row['module']}:{row['qualname']}" for row in played.rows["gaps"] if row["kind"] == "function"]
    never = [name.partition("@")[0] for name, profiles in expected.table().items() if not profiles]
    assert sorted(gaps) == sorted(never)


def test_gaps_that_run_when_a_process_starts_are_told_apart(played: Played) -> None:
    at_startup = [f"{row['module']}:{row['qualname']}" for row in played.rows["gaps"] if row["at_startup"]]
    assert sorted(at_startup) == ["shop.app:create_app", "shop.database:create_schema", "shop.hooks:install"]


def test_classes_without_an_executed_function_are_gaps(played: Played) -> None:
    gaps = [f"{row['module']}:{row['qualname']}" for row in played.rows["gaps"] if row["kind"] == "class"]
    assert sorted(gaps) == [
        "shop.legacy.xmlfeed:Feed",
        "shop.loyalty:Account",
        "shop.pricing:Rule",
        "shop.pricing:Staff",
    ]


def test_every_run_passed_and_is_complete(played: Played) -> None:
    runs = {row["profile"]: row for row in played.rows["runs"]}
    assert runs.keys() == expected.slugs()
    for slug, row in runs.items():
        assert (row["outcome"], row["complete"], row["incomplete_reasons"]) == ("passed", True, []), slug


@pytest.mark.parametrize(
    ("slug", "requests", "jobs"),
    [
        ("smoke", 2, 0),
        ("browse", 5, 0),
        ("checkout", 6, 2),
        ("refund", 7, 4),
        ("reprice", 6, 0),
        ("month-end", 8, 6),  # fulfil, its letter, close_month, and the three jobs that it enqueues
        ("stock-list", 4, 1),
    ],
)
def test_requests_and_jobs_are_counted_including_jobs_of_jobs(
    played: Played, slug: str, requests: int, jobs: int
) -> None:
    (row,) = (row for row in played.rows["runs"] if row["profile"] == slug)
    assert (row["requests"], row["jobs"]) == (requests, jobs)


def test_profiles_played_concurrently_execute_the_same(played: Played, played_at_once: Played) -> None:
    assert executed(played_at_once) == expected.table()
    assert played_at_once.functions == played.functions
    assert played_at_once.lines == played.lines
    assert all(row["complete"] for row in played_at_once.rows["runs"])
