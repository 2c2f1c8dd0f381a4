"""The lines of unchanged functions that other profiles execute: compared as bits, a file and a profile at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_coverage.reporting.changes.code import Name

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LineDifference:
    """One line.

    Attributes:
        name: module and qualified name of its function.
        line: its number, now.
        executes: the profiles that execute it now, as bits.
        executed: those that executed it.
    """

    name: Name
    line: int
    executes: int
    executed: int


class ExecutedLines:
    """The lines that each profile executes.

    Args:
        rows: of the named query ``executed-ranges``.
        bits: the bit that stands for a profile.
        catalog: the functions; lines beyond their last one are left out, whatever arrived.
    """

    def __init__(self, rows: Iterable[Sequence[Any]], bits: Mapping[str, int], catalog: Iterable[Row]) -> None:
        last: dict[str, int] = {}
        for row in catalog:
            last[row["file"]] = max(last.get(row["file"], 0), row["end_line"])
        self._files: dict[str, dict[int, int]] = {}
        self.any = False
        for profile, file, firsts, lasts in rows:
            self.any = True
            lines, end = 0, last.get(file, 0)
            for begin, stop in zip(firsts, lasts, strict=True):
                if begin <= end:
                    lines |= ((1 << (min(stop, end) - begin + 1)) - 1) << begin
            if lines and profile in bits:
                self._files.setdefault(file, {})[bits[profile]] = lines

    def of(self, file: str) -> Mapping[int, int]:
        """The lines of a file, as bits, by the bit of the profile that executes them."""
        return self._files.get(file, {})

    def together(self, file: str) -> int:
        """The lines of a file that some profile executes, as bits."""
        found = 0
        for lines in self.of(file).values():
            found |= lines
        return found


def line_differences(
    pairs: Iterable[tuple[Row, Row]], now: ExecutedLines, then: ExecutedLines
) -> Iterator[LineDifference]:
    """The executable lines of functions that other profiles execute than before, by file.

    Args:
        pairs: each function with the one that it was, of the same text: rows of catalogs.
        now: the lines that are executed.
        then: the lines that were executed.
    """
    # functions that moved by as many lines are compared together
    together: defaultdict[tuple[str, str, int], list[tuple[Row, int]]] = defaultdict(list)
    for row, was in pairs:
        moved = row["line"] - was["line"]
        common = _bits(row["executable_lines"]) & _moved(_bits(was["executable_lines"]), moved)
        if common:
            together[row["file"], was["file"], moved].append((row, common))
    for (file, file_before, moved), functions in together.items():
        wanted = 0
        for _, lines in functions:
            wanted |= lines
        executes, executed = now.of(file), then.of(file_before)
        before = {profile: _moved(lines, moved) for profile, lines in executed.items()}
        differing = 0
        for profile in {**executes, **before}:
            differing |= (executes.get(profile, 0) ^ before.get(profile, 0)) & wanted
        if not differing:
            continue
        for row, lines in functions:
            for line in members(lines & differing):
                yield LineDifference(
                    (row["module"], row["qualname"]),
                    line,
                    sum(profile for profile, found in executes.items() if found >> line & 1),
                    sum(profile for profile, found in before.items() if found >> line & 1),
                )


def members(bits: int) -> Iterator[int]:
    """The numbers of the bits that are set, ascending."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def ranges(lines: Sequence[int]) -> str:
    """Line numbers as people write them: 3-5, 9."""
    found: list[list[int]] = []
    for line in lines:
        if found and found[-1][1] == line - 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def _bits(numbers: Iterable[int]) -> int:
    found = 0
    for number in numbers:
        found |= 1 << number
    return found


def _moved(bits: int, by: int) -> int:
    return bits << by if by >= 0 else bits >> -by
