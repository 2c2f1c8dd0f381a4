"""Who executes each line, in numbers."""

from __future__ import annotations

import pytest

from otel_coverage.reporting import executed_lines
from otel_coverage.reporting.queries import RevisionQueries, select_revision
from otel_coverage.store import Store
from otel_coverage.store.named_queries import named_query
from tests.support.spans import TracedSpan, insert_spans

LINES = {"checkout": ["shop/a.py:1-3,7", "shop/b.py:1"], "browse": ["shop/a.py:2-3", "shop/c.py:5-6"]}


@pytest.fixture
def played(store: Store) -> RevisionQueries:
    spans = [
        TracedSpan(id=f"s{run}{profile}", trace=f"t{run}{profile}", profile=profile, run=run, functions=[], lines=lines)
        for profile, lines in LINES.items()
        for run in ("r1", "r2")
    ]
    insert_spans(store, *spans)
    return select_revision(store)


def found(queries: RevisionQueries) -> list[tuple[str, list[int], list[str]]]:
    names = queries.executed.profiles
    return [(file, lines, [names[each] for each in numbers]) for file, lines, numbers in queries.executed_lines]


def test_lines_that_the_same_profiles_execute_stand_together(played: RevisionQueries) -> None:
    expected = [
        ("shop/a.py", [1, 7], ["checkout"]),
        ("shop/a.py", [2, 3], ["browse", "checkout"]),
        ("shop/b.py", [1], ["checkout"]),
        ("shop/c.py", [5, 6], ["browse"]),
    ]
    assert found(played) == expected
    assert named_query("line-profiles").ask(played.store).rows == expected


def test_asked_for_some_files_at_a_time_they_are_the_same(
    played: RevisionQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = found(played)
    monkeypatch.setattr(executed_lines, "_PAIRS", 1)
    assert sorted(found(played)) == whole


def test_the_query_over_some_profiles_knows_no_others(played: RevisionQueries) -> None:
    rows = named_query("line-profiles").ask(played.store, {"profiles": ["browse"]}).rows
    assert rows == [("shop/a.py", [2, 3], ["browse"]), ("shop/c.py", [5, 6], ["browse"])]
