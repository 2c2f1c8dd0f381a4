"""The data inside the page: integers as varints, sets as bitmaps, both deflated, in elements that run nothing."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any


class Numbers:
    """Columns of integers, one after the other, as LEB128 varints; `web/src/data/blocks.ts` reads them.

    Attributes:
        columns: each column's name and how many values it has, in order.
    """

    def __init__(self) -> None:
        self.columns: list[tuple[str, int]] = []
        self._bytes = bytearray()

    def add(self, name: str, values: Sequence[int]) -> None:
        """Append a column of integers from 0 on."""
        self.columns.append((name, len(values)))
        append = self._bytes.append
        for value in values:
            rest = value
            while rest > 0x7F:
                append(rest & 0x7F | 0x80)
                rest >>= 7
            append(rest)

    @property
    def content(self) -> bytes:
        """All columns."""
        return bytes(self._bytes)


class Sets:
    """Different sets of small integers, numbered in the order in which they were first asked for.

    Args:
        size: the members are smaller than this.
    """

    def __init__(self, size: int) -> None:
        self.width = (size + 7) // 8  # bytes of each
        self._numbers: dict[int, int] = {}

    def number(self, members: Iterable[int]) -> int:
        """The number of a set, from 1 on; 0 is the empty one."""
        bits = 0
        for member in members:
            bits |= 1 << member
        return self._numbers.setdefault(bits, len(self._numbers) + 1) if bits else 0

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def content(self) -> bytes:
        """The sets from 1 on as bitmaps of `width` bytes, the lowest members first."""
        return b"".join(bits.to_bytes(self.width, "little") for bits in self._numbers)


def zigzag(value: int) -> int:
    """A number of either sign as one from 0 on, small where it was near 0."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def json_block(document: Any) -> bytes:
    """A value as compact JSON; lone surrogates, which names of files may hold, as escapes."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()


def packed(content: bytes) -> str:
    """A block as text that stands in an element of the page as it is: deflated, in base64."""
    return base64.b64encode(zlib.compress(content, 9)).decode("ascii")
