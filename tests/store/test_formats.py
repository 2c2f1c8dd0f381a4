from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from otel_coverage.store import Result
from otel_coverage.store.formats import as_csv, as_json, as_markdown, as_table

CELLS = st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.lists(st.text(max_size=5), max_size=3)
ROWS = st.lists(st.tuples(CELLS, CELLS), max_size=4)


@given(rows=ROWS)
def test_json_gives_back_every_value(rows: list[tuple[object, object]]) -> None:
    assert json.loads(as_json(Result(("a", "b"), rows))) == [{"a": a, "b": b} for a, b in rows]


def test_json_has_a_line_for_each_row() -> None:
    assert as_json(Result(("a",), [(1,), ("é",)])) == '[\n{"a": 1},\n{"a": "é"}\n]\n'


def test_json_has_words_for_what_it_lacks() -> None:
    row = (
        datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC),
        date(2026, 1, 2),
        float("nan"),
        float("inf"),
        b"\xff",
        {1: ()},
    )
    assert json.loads(as_json(Result(("t", "d", "n", "i", "b", "m"), [row]))) == [
        {"t": "2026-01-02T03:04:05.000600Z", "d": "2026-01-02", "n": None, "i": None, "b": "\\xff", "m": {"1": []}}
    ]


PLAIN = st.text(max_size=10).filter(lambda text: text.isprintable() and not text.startswith(("=", "+", "-", "@")))


@given(rows=st.lists(st.tuples(PLAIN, PLAIN), max_size=4))
def test_csv_gives_back_every_plain_text(rows: list[tuple[str, str]]) -> None:
    text = as_csv(Result(("a", "b"), list(rows)))
    assert [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))] == [("a", "b"), *rows]


@given(value=st.text())
def test_no_cell_of_csv_begins_a_formula_or_holds_a_control_character(value: str) -> None:
    (_, (cell,)) = csv.reader(io.StringIO(as_csv(Result(("a",), [(f"x{value}"[1:] or "x",)])), newline=""))
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell.isprintable()


def test_numbers_in_csv_stay_numbers() -> None:
    assert as_csv(Result(("a", "b"), [(-5, "-5")])) == "a,b\n-5,'-5\n"


def test_csv_writes_what_is_no_plain_value_as_json() -> None:
    assert as_csv(Result(("a", "b", "c"), [(["x", 'y"'], None, True)])) == 'a,b,c\n"[""x"", ""y\\""""]",,true\n'


def test_a_table_lines_its_columns_up() -> None:
    result = Result(("name", "n"), [("long enough", 1), ("x", 22)])
    assert as_table(result) == "name         n\nlong enough  1\nx            22\n"


def test_a_table_shows_markup_and_control_characters_as_they_are() -> None:
    result = Result(("a",), [("[bold]x[/bold]",), ("a\x1b[31m\nb",)])
    assert as_table(result) == "a\n[bold]x[/bold]\na\\x1b[31m\\nb\n"


def test_a_table_folds_what_is_wider_than_the_terminal() -> None:
    assert as_table(Result(("a",), [("abcdefghij",)]), width=4) == "a\nabcd\nefgh\nij\n"


def test_a_table_without_rows_says_so() -> None:
    assert as_table(Result(("a",), [])) == "no rows\n"


def test_markdown_shows_every_cell_as_it_is() -> None:
    text = as_markdown(Result(("a", "b"), [("x|y", None), ("<b>*_[l](u)`", "two\nlines"), (["f"], 1)]))
    assert text.splitlines() == [
        "| a | b |",
        "| --- | --- |",
        r"| x\|y |  |",
        r"| \<b\>\*\_\[l\]\(u\)\` | two\\nlines |",
        r'| \["f"\] | 1 |',
    ]
