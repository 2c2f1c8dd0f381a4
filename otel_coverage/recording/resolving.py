"""From code objects to names: symbols and paths of what a recording entered."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from types import CodeType

from otel_coverage.recording.executed import Arc, Executed
from otel_coverage.recording.ways import Ways
from otel_coverage.source import SourceTree
from otel_coverage.symbols import Symbol, symbol_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a code object stands in the source tree.

    Attributes:
        reference: the code object; when it goes, the place is forgotten.
        path: its file's path; None outside the tree.
        symbol: the function that entering it executes, if any.
        ways: what the ways out of its instructions mean; None where nobody asks.
    """

    reference: weakref.ref[CodeType]
    path: str | None
    symbol: Symbol | None
    ways: Ways | None = None


class Resolver:
    """Names code objects, each once: keyed by ``id()``, since hashing a code object walks its bytecode.

    Args:
        source: whose code it is.
        branch: whether ways stand among the lines.
    """

    def __init__(self, source: SourceTree, *, branch: bool = False) -> None:
        self._source = source
        self._branch = branch
        self._places: dict[int, Place] = {}

    def resolve(self, entered: Sequence[tuple[CodeType, Sequence[int]]], *, lines: bool) -> Executed:
        """The functions entered and, where wanted, the lines and the arcs by file."""
        known = self._places
        places = [known.get(id(code)) or self._place(code) for code, _ in entered]
        functions = frozenset([place.symbol for place in places if place.symbol is not None])
        if not lines:
            return Executed(functions)
        if not self._branch:
            return Executed(functions, self._lines(places, entered))
        numbers = [(code, [number for number in ran if number >= 0]) for code, ran in entered]
        return Executed(functions, self._lines(places, numbers), self._arcs(places, entered))

    @staticmethod
    def _lines(places: Sequence[Place], entered: Sequence[tuple[CodeType, Sequence[int]]]) -> dict[str, frozenset[int]]:
        numbers_of: dict[str, list[Sequence[int]]] = {}
        for place, (_, numbers) in zip(places, entered, strict=True):
            if numbers and place.path is not None:
                if place.path in numbers_of:
                    numbers_of[place.path].append(numbers)
                else:
                    numbers_of[place.path] = [numbers]
        lines = {path: frozenset(chain.from_iterable(numbers)) for path, numbers in numbers_of.items()}
        return {path: ran - {0} if 0 in ran else ran for path, ran in lines.items() if ran != {0}}

    @staticmethod
    def _arcs(places: Sequence[Place], entered: Sequence[tuple[CodeType, Sequence[int]]]) -> dict[str, frozenset[Arc]]:
        arcs: dict[str, set[Arc]] = {}
        for place, (_, ran) in zip(places, entered, strict=True):
            if place.path is not None and place.ways is not None:
                arcs.setdefault(place.path, set()).update(place.ways.arcs(ran))
        return {path: frozenset(gone) for path, gone in arcs.items() if gone}

    def _place(self, code: CodeType) -> Place:
        identity = id(code)
        file = self._source.locate(code.co_filename)
        reference = weakref.ref(code, lambda _: self._places.pop(identity, None))
        place = Place(reference, None, None)
        if file is not None:
            place = Place(reference, file.path, symbol_of(code, file), Ways(code) if self._branch else None)
        self._places[identity] = place
        return place
