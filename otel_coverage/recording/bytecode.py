"""Bytecode: instructions of two bytes each, from 3.11 on some followed by caches of the same size."""

from __future__ import annotations

from opcode import opmap
from types import CodeType
from typing import Final

RESUME: Final = opmap.get("RESUME")
"""The instruction that code starts with; None before 3.11, where nothing in a function stands for its ``def``."""

_CACHE: Final = opmap.get("CACHE", 0)


def offset_after(instructions: bytes, offset: int) -> int:
    """The offset of the instruction that follows: RESUME has a cache from 3.15 on."""
    offset += 2
    while instructions[offset : offset + 1] == bytes((_CACHE,)):
        offset += 2
    return offset


def is_interpreted(code: CodeType) -> bool:
    """Whether the interpreter runs the code: that of functions compiled by Cython, all zeros, has events too."""
    return code.co_code[:1] not in (b"", bytes((_CACHE,)))
