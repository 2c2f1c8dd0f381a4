from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime, timezone

from hypothesis import given
from hypothesis import strategies as st

from otel_coverage.store import Result
from otel_coverage.store.formats import as_csv, as_json, as_markdown

CELLS = st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.lists(st.text(max_size=5), max_size=3)
ROWS = st.lists(st.tuples(CELLS, CELLS), max_size=4)


@given(rows=ROWS)
def test_json_gives_back_every_value(rows: list[tuple[object, object]]) -> None:
    assert json.loads(as_json(Result(("a", "b"), rows))) == [{"a": a, "b": b} for a, b in rows]


@given(value=st.text())
def test_json_holds_no_control_character_and_the_same_value(value: str) -> None:
    text = as_json(Result(("a",), [(value,), ([value, "\x9b2J\u202e"],)]))
    assert text.replace("\n", "").isprintable()
    assert [row["a"] for row in json.loads(text)] == [value, [value, "\x9b2J\u202e"]]


def test_json_has_a_line_for_each_row() -> None:
    assert as_json(Result(("a",), [(1,), ("é",)])) == '[\n{"a": 1},\n{"a": "é"}\n]\n'


def test_json_has_words_for_what_it_lacks() -> None:
    row = (
        datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=timezone.utc),
        date(2026, 1, 2),
        float("nan"),
        float("inf"),
        b"\xff",
        {1: ()},
    )
    assert json.loads(as_json(Result(("t", "d", "n", "i", "b", "m"), [row]))) == [
        {"t": "2026-01-02T03:04:05.000600Z", "d": "2026-01-02", "n": None, "i": None, "b": "\\xff", "m": {"1": []}}
    ]


FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
PLAIN = st.text(max_size=10).filter(lambda text: text.isprintable() and not text.startswith(FORMULA))


@given(rows=st.lists(st.tuples(PLAIN, PLAIN), max_size=4))
def test_csv_gives_back_every_plain_text(rows: list[tuple[str, str]]) -> None:
    text = as_csv(Result(("a", "b"), list(rows)))
    assert [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))] == [("a", "b"), *rows]


@given(value=st.text())
def test_no_cell_of_csv_begins_a_formula_or_holds_a_control_character(value: str) -> None:
    (_, (cell,)) = csv.reader(io.StringIO(as_csv(Result(("a",), [(f"x{value}"[1:] or "x",)])), newline=""))
    assert not cell.startswith((*FORMULA, "\t", "\r"))
    assert cell.isprintable()


def test_csv_is_safe_in_lists_and_headers_too() -> None:
    assert as_csv(Result(("=a",), [(["\x9b2J"],), ("＝1+1",)])) == '\'=a\n"[""\\u009b2J""]"\n\'＝1+1\n'


def test_numbers_in_csv_stay_numbers() -> None:
    assert as_csv(Result(("a", "b"), [(-5, "-5")])) == "a,b\n-5,'-5\n"


def test_csv_writes_what_is_no_plain_value_as_json() -> None:
    assert as_csv(Result(("a", "b", "c"), [(["x", 'y"'], None, True)])) == 'a,b,c\n"[""x"", ""y\\""""]",,true\n'


def test_markdown_shows_every_cell_as_it_is() -> None:
    text = as_markdown(Result(("a", "b"), [("x|y", None), ("<b>*_[l](u)`", "two\nlines"), (["f"], 1)]))
    assert text.splitlines() == [
        "| a | b |",
        "| --- | --- |",
        r"| x\|y |  |",
        r"| \<b\>\*\_\[l\]\(u\)\` | two\\nlines |",
        r'| \["f"\] | 1 |',
    ]
