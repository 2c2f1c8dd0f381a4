"""Names and encoding of what stands on a span."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from otel_coverage.recording import Arc, Executed

FUNCTIONS = "coverage.functions"
LINES = "coverage.lines"
FUNCTION_COUNT = "coverage.function_count"
LINE_COUNT = "coverage.line_count"
ARCS = "coverage.arcs"
ARC_COUNT = "coverage.arc_count"
GRANULARITY = "coverage.granularity"
ENGINE = "coverage.engine"
ROLE = "coverage.role"
COMPLETE = "coverage.complete"
INCOMPLETE_REASON = "coverage.incomplete_reason"
INCOMPLETE_DETAIL = "coverage.incomplete_detail"

PART = "coverage.part"  # the name of the spans that hold what their parent could not

LONGEST_ELEMENT = 64 * 1024
_ELEMENT_OVERHEAD = 12  # tags and lengths of one string in an array, as protobuf writes them


@dataclass(slots=True)
class Chunk:
    """Elements that stand on one span together.

    Attributes:
        functions: symbols, sorted.
        lines: ``path:ranges`` for each file, sorted by path.
        line_count: how many lines those ranges hold.
        arcs: ``path:walks`` for each file, sorted by path.
        arc_count: how many arcs those walks take.
        size: at most so many bytes, encoded.
        too_long: elements that no span takes, because its provider cuts values at a length.
    """

    functions: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    line_count: int = 0
    arcs: list[str] = field(default_factory=list)
    arc_count: int = 0
    size: int = 0
    too_long: int = 0

    def hold_function(self, symbol: str, _count: int) -> None:
        """Take a symbol."""
        self.functions.append(symbol)

    def hold_lines(self, ranges: str, count: int) -> None:
        """Take a file's ranges, which hold so many lines."""
        self.lines.append(ranges)
        self.line_count += count

    def hold_arcs(self, walks: str, count: int) -> None:
        """Take a file's walks, which take so many arcs."""
        self.arcs.append(walks)
        self.arc_count += count


def chunks(executed: Executed, budget: int, longest: int | None = None) -> list[Chunk]:
    """Encode what was executed, in as many chunks as the budget asks for; at least one, which may be empty.

    Args:
        executed: functions, lines and arcs.
        budget: bytes that a chunk may have.
        longest: characters that an element may have; None for no limit.
    """
    limit = min(longest or LONGEST_ELEMENT, LONGEST_ELEMENT, max(budget // 4, 1))
    found = [Chunk()]

    def room_for(text: str) -> Chunk:
        size = len(text.encode()) + _ELEMENT_OVERHEAD
        if found[-1].size + size > budget and found[-1].size:
            found.append(Chunk())
        found[-1].size += size
        return found[-1]

    def put(elements: Iterable[tuple[str, int]], hold: Callable[[Chunk, str, int], None]) -> None:
        for element, count in elements:
            if len(element) <= (longest or len(element)):
                hold(room_for(element), element, count)
            else:
                found[0].too_long += 1

    put(((symbol, 1) for symbol in sorted(map(encodable, executed.functions))), Chunk.hold_function)
    for path in sorted(executed.lines):
        put(line_elements(encodable(path), executed.lines[path], limit), Chunk.hold_lines)
    for path in sorted(executed.arcs):
        put(arc_elements(encodable(path), executed.arcs[path], limit), Chunk.hold_arcs)
    return found


def line_elements(path: str, numbers: Iterable[int], longest: int) -> Iterator[tuple[str, int]]:
    """``path:ranges`` and how many lines it holds; more than one where it would be longer than ``longest``."""
    element, count = "", 0
    for first, last in ranges(numbers):
        text = str(first) if first == last else f"{first}-{last}"
        if element and len(element) + 1 + len(text) > longest:
            yield element, count
            element, count = "", 0
        element = f"{element},{text}" if element else f"{path}:{text}"
        count += last - first + 1
    if element:
        yield element, count


def arc_elements(path: str, arcs: Iterable[Arc], longest: int) -> Iterator[tuple[str, int]]:
    """``path:walks`` and how many arcs it holds; more than one where it would be longer than ``longest``."""
    element, count = "", 0
    for walk in walks(arcs):
        separator = ","
        for before, after in pairwise(walk):
            text = f"/{after}" if separator == "/" else f",{before}/{after}"
            if element and len(element) + len(text) > longest:
                yield element, count
                element, count = "", 0
            element = element + text if element else f"{path}:{before}/{after}"
            count += 1
            separator = "/"
    if element:
        yield element, count


def walks(arcs: Iterable[Arc]) -> Iterator[list[int]]:
    """Lines in the order of arcs that lead from each to the next: as few numbers as that takes, in a fixed order."""
    ahead: dict[int, list[int]] = {}
    for before, after in sorted(arcs, reverse=True):
        ahead.setdefault(before, []).append(after)
    for start in sorted(ahead):
        while ahead[start]:
            walk = [start]
            while ahead.get(walk[-1]):
                walk.append(ahead[walk[-1]].pop())
            yield walk


def ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers, first and last of each, in order."""
    first = last = None
    for number in sorted(numbers):
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last


def encodable(text: str) -> str:
    """``text`` as UTF-8 can hold it: one surrogate from an undecodable file name would fail the whole export."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
