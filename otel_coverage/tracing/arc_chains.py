"""Arcs on a span: chains of line numbers, each number followed by where control went next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from otel_coverage.recording import Arc, Executed
from otel_coverage.source import encodable
from otel_coverage.tracing.attributes import ArrayAttribute


def arc_elements(path: str, arcs: Iterable[Arc], longest: int) -> Iterator[tuple[str, int]]:
    """``path:chains`` with the number of its arcs; several where one would be longer than ``longest`` characters."""
    element, count = "", 0
    for chain in chains(arcs):
        separator = ","
        for before, after in pairwise(chain):
            text = f"/{after}" if separator == "/" else f",{before}/{after}"
            if element and len(element) + len(text) > longest:
                yield element, count
                element, count = "", 0
            element = element + text if element else f"{path}:{before}/{after}"
            count += 1
            separator = "/"
    if element:
        yield element, count


def chains(arcs: Iterable[Arc]) -> Iterator[list[int]]:
    """Line numbers of which each two neighbours are an arc; every arc once, in an order that the set alone decides."""
    ahead: dict[int, list[int]] = {}
    for before, after in sorted(arcs, reverse=True):
        ahead.setdefault(before, []).append(after)
    for start in sorted(ahead):
        while ahead[start]:
            chain = [start]
            while ahead.get(chain[-1]):
                chain.append(ahead[chain[-1]].pop())
            yield chain


def _encode(executed: Executed, longest: int) -> Iterator[tuple[str, int]]:
    for path in sorted(executed.arcs):
        yield from arc_elements(encodable(path), executed.arcs[path], longest)


ARCS = ArrayAttribute("coverage.arcs", "coverage.arc_count", "coverage.total_arcs", _encode)
