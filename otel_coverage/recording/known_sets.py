"""What ran in a file before, by its bits: a profile's requests run the same code again and again."""

from __future__ import annotations

from collections.abc import Sequence
from types import CodeType

from otel_coverage.recording.executed import Executed
from otel_coverage.recording.line_set import LineSet
from otel_coverage.recording.symbolizer import Symbolizer

Lines = tuple[bytes, str] | Sequence[Sequence[int]]
"""The lines that ran: of the file, bit n of byte m for line 8 m + n, and as text; or the numbers, by code object."""

FilesRead = Sequence[Executed | tuple[bytes, Sequence[CodeType], Lines]]
"""What a recording has executed, file by file: as it is known, or a key, code objects that were entered, and lines."""

_MOST_BYTES = 16 * 1024 * 1024


class KnownSets:
    """Names, sorts and counts what was executed only where the same did not run before.

    Keys come from the callbacks: different sets have different keys, as long as the process lives. An empty key stands
    for what is not to be kept.

    Args:
        symbolizer: names code objects.
        lines: whether lines are recorded.
        most_bytes: what is kept may take about as many; when it takes more, all of it is forgotten.

    Attributes:
        by_key: what was executed in a file, for the callbacks to look into.
        merged: what was executed in several files, by the ids of what was executed in each, which it keeps.
    """

    def __init__(self, symbolizer: Symbolizer, *, lines: bool, most_bytes: int = _MOST_BYTES) -> None:
        self._symbolizer = symbolizer
        self._lines = lines
        self._most_bytes = most_bytes
        self._bytes = 0
        self.merged: dict[tuple[int, ...], tuple[tuple[Executed, ...], Executed]] = {}
        self.by_key: dict[bytes, Executed] = {}

    def executed(self, files: FilesRead) -> Executed:
        """What was executed in all of them: the same object as long as it is kept. Safe to call from any thread."""
        parts = tuple([file if isinstance(file, Executed) else self._learn(*file) for file in files])
        if len(parts) == 1:
            return parts[0]
        identity = tuple(map(id, parts))
        known = self.merged.get(identity)
        if known is not None:
            return known[1]
        merged = Executed.union(parts)
        if self._has_room(_size_of(merged)):
            self.merged[identity] = parts, merged  # which keeps the parts, and thereby their ids
        return merged

    def _learn(self, key: bytes, codes: Sequence[CodeType], lines: Lines) -> Executed:
        if isinstance(lines, tuple):
            bits, ranges = lines
            executed = self._symbolizer.symbolize_file(codes, LineSet(int.from_bytes(bits, "little"), ranges))
        else:
            executed = self._symbolizer.symbolize(tuple(zip(codes, lines, strict=True)), lines=self._lines)
        if not key:
            return executed
        if self._has_room(2 * len(key) + _size_of(executed)):
            self.by_key[key] = executed
        return executed

    def _has_room(self, size: int) -> bool:
        """Count so many bytes as kept; forget all others where it would be too many. Returns whether there is room."""
        if size > self._most_bytes:
            return False
        if self._bytes + size > self._most_bytes:
            self.by_key.clear()
            self.merged.clear()
            self._bytes = 0
        self._bytes += size
        return True


def _size_of(executed: Executed) -> int:
    """About how many bytes it takes, with the attributes that are made of it."""
    size = 1000 + 200 * len(executed.functions)  # in a set, which is half empty, and in lists, with the name
    size += 4 * sum(map(len, executed.lines.values()))
    return size + 300 * sum(map(len, executed.arcs.values()))
