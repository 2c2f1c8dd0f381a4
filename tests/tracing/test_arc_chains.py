"""Arcs as chains of line numbers."""

from __future__ import annotations

from itertools import pairwise

from otel_coverage.tracing.arc_chains import arc_elements


def test_arcs_are_written_as_chains_of_lines() -> None:
    arcs = {(-40, 41), (41, 42), (42, 41), (42, 44), (44, -40), (-7, 8)}
    assert list(arc_elements("shop/orders.py", arcs, 1000)) == [("shop/orders.py:-40/41/42/41,-7/8,42/44/-40", 6)]


def test_the_chains_do_not_depend_on_the_order_of_the_arcs() -> None:
    arcs = [(number % 7, number % 5) for number in range(35)]
    assert list(arc_elements("a.py", arcs, 1000)) == list(arc_elements("a.py", reversed(arcs), 1000))


def arcs_of(elements: list[str]) -> dict[str, frozenset[tuple[int, int]]]:
    """The arcs in ``coverage.arcs``, by file."""
    found: dict[str, list[tuple[int, int]]] = {}
    for element in elements:
        path, _, text = element.rpartition(":")
        for chain in text.split(","):
            found.setdefault(path, []).extend(pairwise(map(int, chain.split("/"))))
    assert all(len(set(pairs)) == len(pairs) for pairs in found.values()), "an arc is there twice"
    return {path: frozenset(pairs) for path, pairs in found.items()}
