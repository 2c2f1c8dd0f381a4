"""The code objects that one loads, to make functions and classes of them, with their qualified names.

From CPython 3.11 on a code object has its qualified name. Before, only what is made of it has: the compiler wrote the
name down where the function is made, and into the body of the class.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from functools import lru_cache
from inspect import CO_OPTIMIZED
from itertools import pairwise
from pathlib import Path
from types import CodeType

_LOADING = [opcode for opcode in dis.hasconst if opcode < 256]  # instructions with the index of a constant


def loaded_by(code: CodeType) -> list[tuple[CodeType, str]]:
    """The code objects that ``code`` loads, in the order of its constants, each with its qualified name.

    The constants also contain those that the compiler dropped.
    """
    inner = {index: value for index, value in enumerate(code.co_consts) if isinstance(value, CodeType)}
    if not inner:
        return []
    words = code.co_code
    loads = list(_loads(words[::2], words[1::2]))
    if sys.version_info >= (3, 11):
        names = {index: inner[index].co_qualname for index in loads if index in inner}
    else:  # a function's name is loaded right after its code, and a class body stores its own before all else
        names = {
            index: code.co_consts[name] if inner[index].co_flags & CO_OPTIMIZED else inner[index].co_consts[0]
            for index, name in pairwise(loads)
            if index in inner
        }
    return [(value, names[index]) for index, value in inner.items() if index in names]


def qualname_of(code: CodeType) -> str:
    """The code object's qualified name; before 3.11 as its file has it, or just its name where that cannot be read."""
    if sys.version_info < (3, 11):
        return _qualname_in(code.co_filename, code.co_name, code.co_firstlineno)
    return code.co_qualname


@lru_cache(maxsize=256)  # compiling a file takes a while
def _qualname_in(filename: str, name: str, line: int) -> str:
    try:
        codes = loaded_by(compile(Path(filename).read_bytes(), filename, "exec", dont_inherit=True))
    except (OSError, SyntaxError, ValueError):
        return name
    while codes:
        code, qualname = codes.pop()
        if (code.co_name, code.co_firstlineno) == (name, line):
            return qualname
        codes += loaded_by(code)
    return name


def _loads(opcodes: bytes, arguments: bytes) -> Iterator[int]:
    """The index of the constant that each instruction loads; in their order where one opcode loads (before 3.12)."""
    for opcode in _LOADING:
        at = opcodes.find(opcode)
        while at >= 0:
            argument, before, shift = arguments[at], at - 1, 8
            while before >= 0 and opcodes[before] == dis.EXTENDED_ARG:
                argument |= arguments[before] << shift
                before, shift = before - 1, shift + 8
            yield argument
            at = opcodes.find(opcode, at + 1)
