"""From code objects to names: symbols and paths of what a recording entered."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from types import CodeType

from otel_coverage.recording.executed import Executed
from otel_coverage.recording.line_set import LineSet
from otel_coverage.source import SourceTree
from otel_coverage.symbols import Symbol, symbol_of


@dataclass(frozen=True, slots=True)
class CodeLocation:
    """Where a code object stands in the source tree.

    Attributes:
        reference: the code object; when it is freed, the location is dropped.
        path: its file's path; None outside the tree.
        symbol: the function that entering it executes, if any.
    """

    reference: weakref.ref[CodeType]
    path: str | None
    symbol: Symbol | None


class Symbolizer:
    """Names code objects, each once: keyed by ``id()``, since hashing a code object walks its bytecode.

    Args:
        source: the tree that holds their files.
    """

    def __init__(self, source: SourceTree) -> None:
        self._source = source
        self._locations: dict[int, CodeLocation] = {}

    def symbolize(self, entered: Sequence[tuple[CodeType, Sequence[int]]], *, lines: bool) -> Executed:
        """The functions that were entered and, with ``lines``, the lines that ran, by file.

        Args:
            entered: code objects, each with the numbers of the lines that ran; 0 is no line.
            lines: whether to return lines.
        """
        known = self._locations
        locations = [known.get(id(code)) or self.locate(code) for code, _ in entered]
        functions = frozenset([location.symbol for location in locations if location.symbol is not None])
        if not lines:
            return Executed(functions)
        numbers_of: dict[str, list[Sequence[int]]] = {}
        for location, (_, numbers) in zip(locations, entered, strict=True):
            if numbers and location.path is not None:
                if location.path in numbers_of:
                    numbers_of[location.path].append(numbers)
                else:
                    numbers_of[location.path] = [numbers]
        sets = {path: frozenset(chain.from_iterable(numbers)) for path, numbers in numbers_of.items()}
        return Executed(functions, {path: ran - {0} if 0 in ran else ran for path, ran in sets.items() if ran != {0}})

    def symbolize_file(self, entered: Sequence[CodeType], lines: LineSet) -> Executed:
        """The functions that were entered and the lines that ran, all of one file."""
        known = self._locations
        locations = [known.get(id(code)) or self.locate(code) for code in entered]
        functions = frozenset([location.symbol for location in locations if location.symbol is not None])
        path = locations[0].path
        return Executed(functions, {path: lines} if path is not None and lines else {})

    def locate(self, code: CodeType) -> CodeLocation:
        """Where the code object stands; kept until the code object is freed."""
        identity = id(code)
        file = self._source.locate(code.co_filename)
        reference = weakref.ref(code, lambda _: self._locations.pop(identity, None))
        location = CodeLocation(reference, None, None)
        if file is not None:
            location = CodeLocation(reference, file.path, symbol_of(code, file, code.co_qualname))
        self._locations[identity] = location
        return location
