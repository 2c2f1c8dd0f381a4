"""What was executed, as array attributes on spans."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otel_coverage.recording import Executed
from otel_coverage.symbols import Symbol
from otel_coverage.tracing.arc_chains import ARCS
from otel_coverage.tracing.attributes import FUNCTIONS, LINES, Chunk, chunks, line_elements
from tests.tracing.test_arc_chains import arcs_of

ALL = [FUNCTIONS, LINES, ARCS]

names = st.text("abc.é_<>", min_size=1, max_size=30)
arcs = st.tuples(st.integers(-9, 40), st.integers(-9, 40))
executions = st.builds(
    Executed,
    st.frozensets(st.builds(Symbol, names, names, st.integers(1, 10**6)), max_size=40),
    st.dictionaries(names, st.frozensets(st.integers(1, 3000), min_size=1, max_size=400), max_size=8),
    st.dictionaries(names, st.frozensets(arcs, min_size=1, max_size=200), max_size=4),
)


def test_lines_are_written_as_ranges() -> None:
    assert list(line_elements("shop/orders.py", {47, 40, 41, 42, 43, 44}, 1000)) == [("shop/orders.py:40-44,47", 6)]


def test_symbols_and_files_are_sorted() -> None:
    (chunk,) = chunks(
        Executed(
            frozenset({Symbol("b", "f", 2), Symbol("a", "g", 10), Symbol("a", "f", 3)}),
            {"b.py": frozenset({2}), "a.py": frozenset({1, 2})},
        ),
        [FUNCTIONS, LINES],
        10_000,
    )
    assert chunk.arrays == {
        "coverage.functions": ["a:f@3", "a:g@10", "b:f@2"],
        "coverage.lines": ["a.py:1-2", "b.py:2"],
    }
    assert chunk.counts == {"coverage.function_count": 3, "coverage.line_count": 3}


def test_nothing_executed_is_one_chunk_of_empty_arrays() -> None:
    (chunk,) = chunks(Executed(), [FUNCTIONS, LINES], 100)
    assert chunk.arrays == {"coverage.functions": [], "coverage.lines": []}
    assert chunk.counts == {"coverage.function_count": 0, "coverage.line_count": 0}


@given(executions, st.integers(200, 4000))
def test_chunks_add_up_to_what_was_executed_and_each_fits_the_budget(executed: Executed, budget: int) -> None:
    found = chunks(executed, ALL, budget)
    assert elements(found, FUNCTIONS.name) == sorted(symbol.id for symbol in executed.functions)
    assert lines_of(elements(found, LINES.name)) == dict(executed.lines)
    assert sum(chunk.counts[LINES.count_name] for chunk in found) == sum(map(len, executed.lines.values()))
    assert arcs_of(elements(found, ARCS.name)) == dict(executed.arcs)
    assert sum(chunk.counts[ARCS.count_name] for chunk in found) == sum(map(len, executed.arcs.values()))
    for chunk in found:
        assert chunk.size <= budget
        assert sum(len(text.encode()) for array in chunk.arrays.values() for text in array) <= chunk.size


@given(executions, st.integers(8, 60))
def test_no_element_is_longer_than_the_providers_limit_for_values(executed: Executed, longest: int) -> None:
    found = chunks(executed, ALL, 100_000, longest)
    assert all(len(text) <= longest for chunk in found for array in chunk.arrays.values() for text in array)
    left_out = sum(len(symbol.id) > longest for symbol in executed.functions)
    assert len(elements(found, FUNCTIONS.name)) == len(executed.functions) - left_out
    assert found[0].too_long >= left_out


def test_a_file_name_that_is_not_utf8_can_be_exported() -> None:
    (chunk,) = chunks(Executed(frozenset(), {"caf\udce9.py": frozenset({1})}), [LINES], 1000)
    assert chunk.arrays[LINES.name] == ["caf\\udce9.py:1"]


def elements(found: list[Chunk], name: str) -> list[str]:
    return [text for chunk in found for text in chunk.arrays[name]]


def lines_of(elements: list[str]) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for element in elements:
        path, _, text = element.rpartition(":")
        for part in text.split(","):
            first, _, last = part.partition("-")
            found.setdefault(path, set()).update(range(int(first), int(last or first) + 1))
    return {path: frozenset(numbers) for path, numbers in found.items()}
