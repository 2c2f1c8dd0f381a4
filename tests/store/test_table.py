"""Tables as somebody reads them, on terminals of any width."""

from __future__ import annotations

from datetime import datetime, timezone

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from otel_coverage.store import Result
from otel_coverage.store.table import as_table

SYMBOL = "shop.package.orders:Order.total.<locals>.one_with_a_long_name@1042"


def test_a_table_lines_its_columns_up_numbers_by_their_end() -> None:
    result = Result(("name", "n"), [("long enough", 1), ("x", 22)])
    assert as_table(result) == "name          n\nlong enough   1\nx            22\n"


def test_a_table_shows_markup_and_control_characters_as_they_are() -> None:
    result = Result(("a",), [("[bold]x[/bold]",), ("a\x1b[31m\nb\x9b1m",)])
    assert as_table(result) == "a\n[bold]x[/bold]\na\\x1b[31m\\nb\\x9b1m\n"


def test_a_cell_breaks_between_words() -> None:
    result = Result(("symbol", "why"), [(SYMBOL, "no span of the server arrived")])
    assert as_table(result, 82).splitlines() == [
        f"{'symbol':66}  why",
        f"{SYMBOL}  no span of the",
        f"{'':66}  server arrived",
    ]


def test_a_row_becomes_a_block_where_the_terminal_is_too_narrow() -> None:
    result = Result(("symbol", "n"), [(SYMBOL, 1), ("f", None)])
    assert as_table(result, 60) == f"symbol  {SYMBOL}\nn       1\n\nsymbol  f\nn       –\n"


WORDS = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12)
CELLS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4), width=st.integers(5, 60))
def test_no_word_is_ever_broken_and_no_table_is_wider_than_the_terminal(
    rows: list[tuple[str, str, str]], width: int
) -> None:
    text = as_table(Result(("a", "b", "c"), list(rows)), width)
    words = text.split()
    for row in rows:
        for cell in row:
            assert set(cell.split()) <= set(words)
    is_table = text.splitlines()[0].split() == ["a", "b", "c"]
    assert not is_table or max(map(cell_len, text.splitlines())) <= width


def test_what_is_not_known_is_a_dash_and_times_are_to_the_second() -> None:
    result = Result(
        ("a", "b", "c", "d"), [(None, True, ["x", "y"], datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc))]
    )
    assert as_table(result) == "a  b    c     d\n–  yes  x, y  2026-01-02T03:04:05Z\n"


def test_groups_are_headings_with_their_sizes() -> None:
    rows = [
        ("shop", "shop.jobs", "f"),
        ("shop", "shop.jobs", "g"),
        ("shop", "shop.orders", "f"),
        ("app", "app", "main"),
    ]
    result = Result(("package", "module", "name"), list(rows))
    assert as_table(result, columns=("name",), groups=("package", "module")).splitlines() == [
        "    name",
        "shop (3)",
        "  shop.jobs (2)",
        "    f",
        "    g",
        "  shop.orders (1)",
        "    f",
        "app (1)",
        "    main",
    ]


def test_a_table_without_rows_says_so() -> None:
    assert as_table(Result(("a",), [])) == "no rows\n"
