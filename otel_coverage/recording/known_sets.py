"""What ran in a file before, by its bits: a profile's requests run the same code again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import CodeType

from otel_coverage.recording.executed import Executed
from otel_coverage.recording.line_set import LineSet

Pairs = Sequence[tuple[CodeType, Sequence[int]]]
"""Code objects that were entered, each with the lines of it that ran."""

FilesRead = Sequence[Executed | tuple[bytes, Pairs]]
"""What a recording has executed, file by file: as it is known, or a key with what it stands for."""

_MOST_BYTES = 16 * 1024 * 1024
_MOST_MERGED = 64


class KnownSets:
    """Names, sorts and counts what was executed only where the same did not run before.

    Keys come from the callbacks: different sets have different keys, as long as the process lives. An empty key stands
    for what is not to be kept.

    Args:
        symbolize: makes names and lines of code objects.
        most_bytes: what is kept may take about as many; when it takes more, all of it is forgotten.

    Attributes:
        by_key: what was executed in a file, for the callbacks to look into.
    """

    def __init__(self, symbolize: Callable[[Pairs], Executed], most_bytes: int = _MOST_BYTES) -> None:
        self._symbolize = symbolize
        self._most_bytes = most_bytes
        self._bytes = 0
        self._merged: dict[tuple[int, ...], tuple[tuple[Executed, ...], Executed]] = {}
        self.by_key: dict[bytes, Executed] = {}

    def executed(self, files: FilesRead) -> Executed:
        """What was executed in all of them: the same object as long as it is kept. Safe to call from any thread."""
        parts = tuple([file if isinstance(file, Executed) else self._learn(*file) for file in files])
        if len(parts) == 1:
            return parts[0]
        identity = tuple(map(id, parts))
        known = self._merged.get(identity)
        if known is not None:
            return known[1]
        merged = Executed.union(parts)
        if len(self._merged) >= _MOST_MERGED:
            self._merged.clear()
        self._merged[identity] = parts, merged  # which keeps the parts, and thereby their ids
        return merged

    def _learn(self, key: bytes, pairs: Pairs) -> Executed:
        executed = self._symbolize(pairs)
        if not key:
            return executed
        lines = {path: LineSet.of(numbers) for path, numbers in executed.lines.items()}
        executed = Executed(executed.functions, lines, executed.arcs)
        # the key; a reference for each function and its text, in a set, which is half empty, and in lists; the ranges
        size = 2 * len(key) + 100 * len(executed.functions) + 2 * sum(map(len, lines.values()))
        size += 300 * sum(map(len, executed.arcs.values()))
        if self._bytes + size > self._most_bytes:
            self.by_key.clear()
            self._merged.clear()
            self._bytes = 0
        self._bytes += size
        self.by_key[key] = executed
        return executed
