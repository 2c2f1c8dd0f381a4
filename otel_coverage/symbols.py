"""Names of functions and classes: the one identity that recorder, catalog and reports share.

A symbol reads ``module:qualname@line``, e.g. ``shop.orders:Order.total@42``. The module comes from the file's path
(see :mod:`otel_coverage.source`), the qualname and the line from the code object that the interpreter compiled, so that
the recorder and the catalog name them by the same rule.
"""

from __future__ import annotations

import sys
from inspect import (
    CO_ASYNC_GENERATOR,
    CO_COROUTINE,
    CO_GENERATOR,
    CO_ITERABLE_COROUTINE,
    CO_OPTIMIZED,
    CO_VARARGS,
    CO_VARKEYWORDS,
)
from types import CodeType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

    from otel_coverage.source import SourceFile

_RESUME_SIZE = 2  # bytes of the instruction that functions of 3.12 and 3.13 begin with, on the line of the ``def``
_NEVER_HIDDEN = CO_VARARGS | CO_VARKEYWORDS | CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR | CO_ITERABLE_COROUTINE


class Symbol(str):
    """A function or class definition in the source tree: its id, ``module:qualname@line``.

    A string, since sets of hundreds are made, sorted and written out at the end of every request: a string computes its
    hash only once.
    """

    __slots__ = ()

    def __new__(cls, module: str, qualname: str, line: int) -> Self:
        """The symbol of that name."""
        return super().__new__(cls, f"{module}:{qualname}@{line}")

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, int]]:
        return type(self), (self.module, self.qualname, self.line)

    @property
    def id(self) -> str:
        """The symbol as it stands in ``coverage.functions``: ``module:qualname@line``."""
        return str(self)

    @property
    def module(self) -> str:
        """The module's dotted name; folders' names in it may hold anything."""
        return self.rpartition("@")[0].rpartition(":")[0]

    @property
    def qualname(self) -> str:
        """The definition's name in its module."""
        return self.rpartition("@")[0].rpartition(":")[2]

    @property
    def line(self) -> int:
        """The first line of the definition, decorators included."""
        return int(self.rpartition("@")[2])

    def __repr__(self) -> str:
        return f"Symbol({self.module!r}, {self.qualname!r}, {self.line})"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an :attr:`id` back.

        Raises:
            ValueError: the text is not of the form ``module:qualname@line``.
        """
        name, at, line = text.rpartition("@")
        module, colon, qualname = name.rpartition(":")  # a folder's name may hold both, a qualname neither
        if not (module and colon and qualname and at and line.isascii() and line.isdigit()):
            raise ValueError(f"not a symbol (module:qualname@line): {text!r}")
        return cls(module, qualname, int(line))


def symbol_of(code: CodeType, file: SourceFile, qualname: str) -> Symbol | None:
    """The symbol that entering ``code`` of that name executes, or None where its lines count but no function does.

    None for everything that the source does not write as ``def`` or ``async def``: modules, class bodies, lambdas,
    comprehensions, and the hidden scopes of annotations and type parameters.
    """
    if not is_function(code, file):
        return None
    return Symbol(file.module, qualname, code.co_firstlineno)


def is_function(code: CodeType, file: SourceFile) -> bool:
    """Whether the source defines ``code`` with ``def`` or ``async def``."""
    if not code.co_flags & CO_OPTIMIZED or code.co_name.startswith("<"):
        return False  # class and module bodies are not optimized; <lambda>, <genexpr>, <generic parameters of f>
    return not _may_be_hidden_scope(code) or file.defines(code.co_name, code.co_firstlineno)


def _may_be_hidden_scope(code: CodeType) -> bool:
    """Whether ``code`` has the shape of a lazily evaluated scope, which carries an ordinary name.

    The value of ``type X = ...`` is a code object named X, a TypeVar's bound one named T, a function's annotations one
    named ``__annotate__``. Functions can have their shapes too, so the source decides about these few.
    """
    if sys.version_info >= (3, 14):
        if code.co_posonlyargcount != 1:
            return False
        return code.co_varnames[0] == ".format" or (code.co_varnames[0], code.co_name) == ("format", "__annotate__")
    if sys.version_info < (3, 12) or code.co_argcount or code.co_kwonlyargcount or code.co_flags & _NEVER_HIDDEN:
        return False
    # they return on their own first line, as a function does only when its body stands on the line of its def
    on_first_line = sum(end - start for start, end, line in code.co_lines() if line == code.co_firstlineno)
    return on_first_line > _RESUME_SIZE
