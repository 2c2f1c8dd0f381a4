"""Names of functions and classes: the one identity that recorder, catalog and reports share.

A symbol reads ``module:qualname@line``, e.g. ``shop.orders:Order.total@42``. The module comes from the file's path
(see :mod:`otel_coverage.source`), the qualname and the line from the code object that the interpreter compiled, so that
what ran and what the source tree holds are named by the same rule.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from inspect import CO_NESTED, CO_OPTIMIZED
from types import CodeType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_coverage.source import SourceFile


@dataclass(frozen=True, slots=True, order=True)
class Symbol:
    """A function or class definition in the source tree."""

    module: str
    qualname: str
    line: int

    @property
    def id(self) -> str:
        """The symbol as it stands in ``coverage.functions``: ``module:qualname@line``."""
        return f"{self.module}:{self.qualname}@{self.line}"

    def __str__(self) -> str:
        return self.id

    @classmethod
    def parse(cls, text: str) -> Symbol:
        """Read an :attr:`id` back.

        Raises:
            ValueError: the text is not of the form ``module:qualname@line``.
        """
        module, colon, rest = text.partition(":")
        qualname, at, line = rest.rpartition("@")
        if not (module and colon and qualname and at and line.isascii() and line.isdigit()):
            raise ValueError(f"not a symbol (module:qualname@line): {text!r}")
        return cls(module, qualname, int(line))


def symbol_of(code: CodeType, file: SourceFile) -> Symbol | None:
    """The symbol that entering ``code`` executes, or None where its lines count but no function does.

    None for everything that the source does not write as ``def`` or ``async def``: modules, class bodies, lambdas,
    comprehensions, and the hidden scopes of annotations and type parameters.
    """
    if not is_function(code, file):
        return None
    return Symbol(file.module, code.co_qualname, code.co_firstlineno)


def is_function(code: CodeType, file: SourceFile) -> bool:
    """Whether the source defines ``code`` with ``def`` or ``async def``."""
    if not code.co_flags & CO_OPTIMIZED or code.co_name.startswith("<"):
        return False  # class and module bodies are not optimized; <lambda>, <genexpr>, <generic parameters of f>
    if _may_be_hidden_scope(code):
        return (code.co_name, code.co_firstlineno) in file.definitions
    return True


def _may_be_hidden_scope(code: CodeType) -> bool:
    """Whether ``code`` has the shape of a lazily evaluated annotation scope, which carries an ordinary name.

    The value of ``type X = ...`` is a code object named X, a TypeVar's bound one named T: nested, without arguments up
    to 3.13, with one positional-only ``format`` since. Functions can have that shape too, so the source decides.
    """
    if code.co_posonlyargcount == code.co_argcount == 1:
        return code.co_varnames[0] in ("format", ".format")
    return code.co_argcount == 0 and bool(code.co_flags & CO_NESTED)


def definitions(source: str | bytes) -> frozenset[tuple[str, int]]:
    """(name, line of the first decorator or ``def``) of each function that ``source`` defines.

    Raises:
        SyntaxError: the source is no Python of this interpreter's version.
    """
    return frozenset(
        (node.name, min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
