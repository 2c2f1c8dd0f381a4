"""How what was executed reads on a span."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from otel_coverage.recording import Executed
from otel_coverage.symbols import Symbol
from otel_coverage.tracing.attributes import arc_elements, chunks, line_elements

names = st.text("abc.é_<>", min_size=1, max_size=30)
arcs = st.tuples(st.integers(-9, 40), st.integers(-9, 40))
executions = st.builds(
    Executed,
    st.frozensets(st.builds(Symbol, names, names, st.integers(1, 10**6)), max_size=40),
    st.dictionaries(names, st.frozensets(st.integers(1, 3000), min_size=1, max_size=400), max_size=8),
    st.dictionaries(names, st.frozensets(arcs, min_size=1, max_size=200), max_size=4),
)


def test_lines_read_as_ranges() -> None:
    assert list(line_elements("shop/orders.py", {47, 40, 41, 42, 43, 44}, 1000)) == [("shop/orders.py:40-44,47", 6)]


def test_arcs_read_as_walks_from_line_to_line() -> None:
    arcs = {(-40, 41), (41, 42), (42, 41), (42, 44), (44, -40), (-7, 8)}
    assert list(arc_elements("shop/orders.py", arcs, 1000)) == [("shop/orders.py:-40/41/42/41,-7/8,42/44/-40", 6)]


def test_the_same_arcs_always_read_the_same() -> None:
    arcs = [(number % 7, number % 5) for number in range(35)]
    assert list(arc_elements("a.py", arcs, 1000)) == list(arc_elements("a.py", reversed(arcs), 1000))


def test_symbols_and_files_are_sorted() -> None:
    (chunk,) = chunks(
        Executed(
            frozenset({Symbol("b", "f", 2), Symbol("a", "g", 10), Symbol("a", "f", 3)}),
            {"b.py": frozenset({2}), "a.py": frozenset({1, 2})},
        ),
        10_000,
    )
    assert chunk.functions == ["a:f@3", "a:g@10", "b:f@2"]
    assert chunk.lines == ["a.py:1-2", "b.py:2"]
    assert chunk.line_count == 3


def test_nothing_executed_is_one_empty_chunk() -> None:
    (chunk,) = chunks(Executed(), 100)
    assert (chunk.functions, chunk.lines, chunk.line_count) == ([], [], 0)


@given(executions, st.integers(200, 4000))
def test_chunks_hold_together_what_was_executed_and_each_fits(executed: Executed, budget: int) -> None:
    found = chunks(executed, budget)
    assert [symbol for chunk in found for symbol in chunk.functions] == sorted(s.id for s in executed.functions)
    assert lines_of([text for chunk in found for text in chunk.lines]) == dict(executed.lines)
    assert sum(chunk.line_count for chunk in found) == sum(map(len, executed.lines.values()))
    assert arcs_of([text for chunk in found for text in chunk.arcs]) == dict(executed.arcs)
    assert sum(chunk.arc_count for chunk in found) == sum(map(len, executed.arcs.values()))
    for chunk in found:
        assert chunk.size <= budget
        assert sum(len(text.encode()) for text in (*chunk.functions, *chunk.lines, *chunk.arcs)) <= chunk.size


@given(executions, st.integers(8, 60))
def test_no_element_is_longer_than_the_provider_lets_a_value_be(executed: Executed, longest: int) -> None:
    found = chunks(executed, 100_000, longest)
    assert all(len(text) <= longest for chunk in found for text in (*chunk.functions, *chunk.lines, *chunk.arcs))
    left_out = sum(len(symbol.id) > longest for symbol in executed.functions)
    assert sum(len(chunk.functions) for chunk in found) == len(executed.functions) - left_out
    assert found[0].too_long >= left_out


def test_a_file_name_that_is_no_utf8_can_be_sent() -> None:
    (chunk,) = chunks(Executed(frozenset(), {"caf\udce9.py": frozenset({1})}), 1000)
    assert chunk.lines == ["caf\\udce9.py:1"]


def lines_of(elements: list[str]) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for element in elements:
        path, _, text = element.rpartition(":")
        for part in text.split(","):
            first, _, last = part.partition("-")
            found.setdefault(path, set()).update(range(int(first), int(last or first) + 1))
    return {path: frozenset(numbers) for path, numbers in found.items()}


def arcs_of(elements: list[str]) -> dict[str, frozenset[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for element in elements:
        path, _, text = element.rpartition(":")
        for walk in text.split(","):
            found.setdefault(path, []).extend(pairwise(map(int, walk.split("/"))))
    assert all(len(set(pairs)) == len(pairs) for pairs in found.values()), "an arc stands there twice"
    return {path: frozenset(pairs) for path, pairs in found.items()}
