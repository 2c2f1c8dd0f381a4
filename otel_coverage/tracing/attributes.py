"""Names of the ``coverage.*`` attributes, and the encoding of those that are arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

from otel_coverage.recording import Executed, LineSet
from otel_coverage.source import encodable

GRANULARITY = "coverage.granularity"
ENGINE = "coverage.engine"
ROLE = "coverage.role"
COMPLETE = "coverage.complete"
INCOMPLETE_REASON = "coverage.incomplete_reason"
INCOMPLETE_DETAIL = "coverage.incomplete_detail"
OPEN = "coverage.open"  # of an entry span: its recording went on after it ended, so a closing part follows
CLOSING = "coverage.closing"  # of the last part
PARTIAL = "coverage.partial"  # of a part that was written while its entry span was running
TOTAL_PARTS = "coverage.total_parts"  # of an entry: on the span of it that was written last, where it has parts

PROCESS = "coverage.process"
NUMBER = "coverage.number"

PART = "coverage.part"  # the name of the spans that hold what their parent could not

LONGEST_ELEMENT = 64 * 1024  # characters
_ELEMENT_OVERHEAD = 12  # bytes of tags and lengths around one string in an array, as protobuf writes them


class ArrayAttribute(NamedTuple):
    """An array of strings on a span, and how it is made.

    Attributes:
        name: of the array.
        count_name: of the attribute with the number of functions, lines or arcs in it.
        total_name: of the attribute with their number on all spans of the entry.
        encode: given what was executed, and the characters that an element should not exceed, yields each element with
            the number of functions, lines or arcs in it. An element that cannot be split may be longer.
    """

    name: str
    count_name: str
    total_name: str
    encode: Callable[[Executed, int], Iterator[tuple[str, int]]]


@dataclass
class Chunk:
    """What one span holds.

    Attributes:
        arrays: the elements of each array, by attribute name.
        counts: how many functions, lines or arcs they hold, by attribute name.
        size: an upper bound in bytes, encoded.
        longest: characters of the longest element.
        too_long: elements that were left out, because the provider cuts values at a length.
    """

    arrays: dict[str, list[str]]
    counts: dict[str, int]
    size: int = 0
    longest: int = 0
    too_long: int = 0

    @cached_property
    def tuples(self) -> dict[str, tuple[str, ...]]:
        """The arrays, as a span keeps them; the same objects again where the chunk is written again."""
        return {name: tuple(elements) for name, elements in self.arrays.items()}


def chunks(
    executed: Executed, arrays: Sequence[ArrayAttribute], budget: int, longest: int | None = None
) -> list[Chunk]:
    """Encode what was executed, in as many chunks as the budget needs.

    Args:
        executed: what to encode.
        arrays: the attributes to make; each chunk has them all, empty where it holds nothing of one.
        budget: bytes that a chunk may have.
        longest: characters that an element may have; None for no limit.

    Returns:
        At least one chunk, which may be empty. They are kept with what was executed, and are not to be changed.
    """
    form = ("chunks", *(array.name for array in arrays), budget, longest)
    known = executed.forms.get(form)
    if known is None:
        known = executed.forms[form] = _chunks(executed, arrays, budget, longest)
    return cast("list[Chunk]", known)


def _chunks(executed: Executed, arrays: Sequence[ArrayAttribute], budget: int, longest: int | None) -> list[Chunk]:
    limit = min(LONGEST_ELEMENT, max(budget // 4, 1), LONGEST_ELEMENT if longest is None else longest)
    found = [_empty(arrays)]
    for array in arrays:
        elements = list(array.encode(executed, limit))
        if elements and _add_at_once(found[-1], array, elements, budget, longest):
            continue
        for element, count in elements:
            if longest is not None and len(element) > longest:
                found[0].too_long += 1
                continue
            size = (len(element) if element.isascii() else len(element.encode())) + _ELEMENT_OVERHEAD
            chunk = found[-1]
            if chunk.size and chunk.size + size > budget:
                chunk = _empty(arrays)
                found.append(chunk)
            chunk.arrays[array.name].append(element)
            chunk.counts[array.count_name] += count
            chunk.size += size
            chunk.longest = max(chunk.longest, len(element))
    return found


def _add_at_once(
    chunk: Chunk, array: ArrayAttribute, elements: list[tuple[str, int]], budget: int, longest: int | None
) -> bool:
    """Add all elements where the chunk has room for them and none is too long: no look at each. Returns whether so."""
    texts = [element for element, _ in elements]
    joined = "".join(texts)
    size = (len(joined) if joined.isascii() else len(joined.encode())) + _ELEMENT_OVERHEAD * len(texts)
    most = max(map(len, texts))
    if chunk.size + size > budget or (longest is not None and most > longest):
        return False
    chunk.arrays[array.name] = texts
    chunk.counts[array.count_name] = sum([count for _, count in elements])
    chunk.size += size
    chunk.longest = max(chunk.longest, most)
    return True


def line_elements(path: str, numbers: Iterable[int], longest: int) -> Iterator[tuple[str, int]]:
    """``path:ranges`` with the number of its lines; several where one would be longer than ``longest`` characters."""
    lines = numbers if isinstance(numbers, LineSet) else LineSet.of(numbers)
    if len(lines.ranges) + len(path) < longest:
        if lines:
            yield f"{path}:{lines.ranges}", len(lines)
        return
    element, count = "", 0
    for first, last in lines.runs():
        text = str(first) if first == last else f"{first}-{last}"
        if element and len(element) + 1 + len(text) > longest:
            yield element, count
            element, count = "", 0
        element = f"{element},{text}" if element else f"{path}:{text}"
        count += last - first + 1
    if element:
        yield element, count


def _empty(arrays: Sequence[ArrayAttribute]) -> Chunk:
    return Chunk({array.name: [] for array in arrays}, {array.count_name: 0 for array in arrays})


def _encode_functions(executed: Executed, _longest: int) -> Iterator[tuple[str, int]]:
    # a span, and who encodes it, are quicker with strings of no class of ours
    for symbol in sorted([encodable(str(symbol)) for symbol in executed.functions]):
        yield symbol, 1


def _encode_lines(executed: Executed, longest: int) -> Iterator[tuple[str, int]]:
    for path in sorted(executed.lines):
        yield from line_elements(encodable(path), executed.lines[path], longest)


FUNCTIONS = ArrayAttribute(
    "coverage.functions", "coverage.function_count", "coverage.total_functions", _encode_functions
)
LINES = ArrayAttribute("coverage.lines", "coverage.line_count", "coverage.total_lines", _encode_lines)
