"""From code objects to names: symbols and paths of what a recording entered."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from types import CodeType

from otel_coverage.recording.executed import Executed
from otel_coverage.source import SourceTree
from otel_coverage.symbols import Symbol, symbol_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a code object stands in the source tree.

    Attributes:
        reference: the code object; when it goes, the place is forgotten.
        path: its file's path; None outside the tree.
        symbol: the function that entering it executes, if any.
    """

    reference: weakref.ref[CodeType]
    path: str | None
    symbol: Symbol | None


class Resolver:
    """Names code objects, each once: keyed by ``id()``, since hashing a code object walks its bytecode."""

    def __init__(self, source: SourceTree) -> None:
        self._source = source
        self._places: dict[int, Place] = {}

    def resolve(self, entered: Sequence[tuple[CodeType, Sequence[int]]], *, lines: bool) -> Executed:
        """The functions entered and, where wanted, the lines by file."""
        known = self._places
        places = [known.get(id(code)) or self._place(code) for code, _ in entered]
        functions = frozenset([place.symbol for place in places if place.symbol is not None])
        return Executed(functions, self._lines(places, entered) if lines else {})

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

    def _place(self, code: CodeType) -> Place:
        identity = id(code)
        file = self._source.locate(code.co_filename)
        reference = weakref.ref(code, lambda _: self._places.pop(identity, None))
        place = Place(reference, None, None) if file is None else Place(reference, file.path, symbol_of(code, file))
        self._places[identity] = place
        return place
