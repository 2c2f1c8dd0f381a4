"""What ``docs/store.md`` lists: each table and view that SQL creates, and each query that has a name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = ROOT / "docs" / "store.md"
CREATED = re.compile(r"^CREATE (?:OR REPLACE )?(?:TABLE|VIEW)(?: IF NOT EXISTS)? (\w+)", re.MULTILINE | re.IGNORECASE)


def section(title: str) -> str:
    """The text below a heading of that document."""
    return DOCUMENT.read_text().split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def named(title: str) -> list[str]:
    """What the first column of the tables below a heading names."""
    rows = [line for line in section(title).splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split(" | ", 1)[0])]


@pytest.mark.parametrize(("title", "folder"), [("Tables", "schema"), ("Views", "views")])
def test_every_table_and_view_is_listed_once(title: str, folder: str) -> None:
    texts = [path.read_text() for path in (ROOT / "queries" / folder).glob("*.sql")]
    created = {name for text in texts for name in CREATED.findall(text)}
    listed = named(title)
    assert len(listed) == len(set(listed))
    assert created <= set(listed), created - set(listed)


def test_every_named_query_is_listed_once_and_nothing_else() -> None:
    assert sorted(named("Queries")) == sorted(path.stem for path in (ROOT / "queries" / "reports").glob("*.sql"))


def test_no_attribute_is_listed_twice() -> None:
    listed = [name for name in named("Attributes") if name.startswith("coverage.")]
    assert sorted(listed) == sorted(set(listed))
