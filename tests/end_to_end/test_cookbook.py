"""The answers in ``docs/sql.md`` are those that the demo gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.cookbook import DOCUMENT, answered, answers, questions


def test_every_answer_in_the_cookbook_is_the_demos(two_nights_store: Path) -> None:
    """``make answers`` writes them anew."""
    document = DOCUMENT.read_text()
    assert answered(document, answers(two_nights_store, document)) == document


def test_the_cookbook_asks_at_least_twenty_different_questions() -> None:
    asked = questions(DOCUMENT.read_text())
    assert len(set(asked.values())) >= 20
    assert len(asked) == DOCUMENT.read_text().count("\n### ")


@pytest.mark.parametrize("rows", [[], [{"a": 1}], [{"a": "x", "b": [1, 2]}, {"a": "y", "b": []}]])
def test_an_answer_that_is_written_twice_stays_the_same(rows: list[dict[str, object]]) -> None:
    once = answered("### Q?\n\nWhy.\n\n```sql\nSELECT 1\n```\n\nAfterwards.\n", {"Q?": rows})
    assert once.count("```text") == 1
    assert answered(once, {"Q?": rows}) == once
