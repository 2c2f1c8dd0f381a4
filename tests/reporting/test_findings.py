"""What follows from what was executed."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from otel_coverage.reporting.findings import Definition, Findings, Hit, ModuleCoverage, Profile
from otel_coverage.symbols import Symbol

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
HIT = Hit(WHEN, WHEN, "t1")


def findings(
    catalog: list[Definition],
    hits: dict[str, set[Symbol]],
    lines: dict[str, dict[str, set[int]]] | None = None,
) -> Findings:
    return Findings(
        revision="abc",
        namespace="",
        services=("web",),
        newest_span=WHEN,
        profiles=tuple(Profile(name, 1, 0, 1, 0, True, (), WHEN, WHEN) for name in sorted(hits)),
        hits={name: dict.fromkeys(sorted(symbols), HIT) for name, symbols in hits.items()},
        lines={
            name: {file: frozenset(numbers) for file, numbers in files.items()} for name, files in (lines or {}).items()
        },
        catalog=tuple(catalog),
    )


def function(qualname: str, line: int = 1, *lines: int, parent: str = "", module: str = "m") -> Definition:
    return Definition(Symbol(module, qualname, line), "function", f"{module}.py", line + 1, parent, lines)


def class_(qualname: str, line: int, end_line: int) -> Definition:
    return Definition(Symbol("m", qualname, line), "class", "m.py", end_line, "", ())


def test_a_class_is_covered_when_one_of_its_functions_is() -> None:
    order, total, cancel = (
        class_("Order", 1, 9),
        function("Order.total", 2, parent="Order"),
        function("Order.cancel", 5, parent="Order"),
    )
    found = findings([order, total, cancel], {"checkout": {total.symbol}})
    assert found.covered == {order.symbol, total.symbol}
    assert found.gaps == (cancel,)
    assert findings([order, total, cancel], {"checkout": set()}).gaps == (order, total, cancel)


def test_a_class_without_functions_is_neither_covered_nor_a_gap() -> None:
    found = findings([class_("Empty", 1, 2)], {"checkout": set()})
    assert (found.covered, found.gaps) == (frozenset(), ())


def test_classes_of_one_name_are_told_apart_by_their_lines() -> None:
    first, second = class_("Order", 1, 3), class_("Order", 5, 7)
    one, two = function("Order.total", 2, parent="Order"), function("Order.total", 6, parent="Order")
    found = findings([first, one, second, two], {"checkout": {two.symbol}})
    assert found.gaps == (first, one)


def test_a_function_that_is_in_no_catalog_is_in_the_matrix_but_counts_for_no_share() -> None:
    known, other = function("f"), Symbol("m", "generated", 9)
    found = findings([known], {"checkout": {known.symbol, other}})
    assert set(found.profiles_of) == {known.symbol, other}
    assert found.functions_covered("checkout") == 1
    assert found.covered == {known.symbol}


def test_lines_count_where_they_belong_to_functions_of_the_catalog() -> None:
    f, g = function("f", 1, 2, 3), function("g", 5, 6, module="n")
    lines = {"checkout": {"m.py": {1, 2, 99}, "else.py": {1}}, "browse": {"m.py": {3}, "n.py": {6}}}
    found = findings([f, g], {"checkout": {f.symbol}, "browse": {f.symbol, g.symbol}}, lines)
    assert found.lines_total == 3
    assert (found.lines_covered("checkout"), found.lines_covered("browse"), found.lines_covered("none")) == (1, 2, 0)
    assert found.modules == (ModuleCoverage("m", 1, 1, 2, 2), ModuleCoverage("n", 1, 1, 1, 1))


def test_modules_with_the_most_functions_that_nobody_executed_come_first() -> None:
    catalog = [function("f", module="a"), function("f", module="b"), function("g", 3, module="b")]
    catalog.append(function("f", module="c"))
    found = findings(catalog, {"checkout": {Symbol("a", "f", 1)}})
    assert [(module.module, module.functions_covered) for module in found.modules] == [("b", 0), ("c", 0), ("a", 1)]


SYMBOLS = [Symbol("m", name, line) for name in "fgh" for line in (1, 5)]


@given(hits=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sets(st.sampled_from(SYMBOLS))))
def test_the_reverse_index_is_the_matrix_transposed_and_gaps_are_the_rest(hits: dict[str, set[Symbol]]) -> None:
    catalog = [function(symbol.qualname, symbol.line) for symbol in SYMBOLS[:-1]]
    found = findings(catalog, hits)
    pairs = {(name, symbol) for name, symbols in hits.items() for symbol in symbols}
    assert {(name, symbol) for symbol, names in found.profiles_of.items() for name in names} == pairs
    assert all(names == tuple(sorted(names)) and names for names in found.profiles_of.values())
    gaps = {gap.symbol for gap in found.gaps}
    assert gaps | found.covered == {definition.symbol for definition in catalog}
    assert not gaps & found.covered
