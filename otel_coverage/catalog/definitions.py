"""The definitions of one file, named by the interpreter's own compiler.

The file is compiled, not run: the code objects in it carry the qualname and the first line that the same code has when
it runs, whatever decorators, ``global`` statements, type parameters or repetitions do to them. What the code objects do
not tell (where a definition ends, where its body begins) comes from the syntax tree.

Definitions that the compiler drops (below ``if False:``, after a ``return``) cannot run and are left out: nobody could
cover them, and coverage.py does not count their lines either.
"""

from __future__ import annotations

import ast
import dis
import hashlib
import linecache
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import CodeType

from otel_coverage.catalog.catalog import CatalogSymbol
from otel_coverage.catalog.statements import Statements
from otel_coverage.source import SourceFile
from otel_coverage.symbols import Symbol, symbol_of

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = _Function | ast.ClassDef


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file as the compiler sees it."""

    file: SourceFile
    code: CodeType
    tree: ast.Module

    @classmethod
    def parse(cls, file: SourceFile) -> ParsedFile:
        """Read and compile a file, in the encoding that it declares.

        Raises:
            SyntaxError, ValueError, RecursionError, MemoryError: this interpreter cannot compile it.
            OSError: it cannot be read.
        """
        linecache.checkcache(file.filename)
        source = Path(file.filename).read_bytes()
        code = compile(source, file.filename, "exec", dont_inherit=True, optimize=0)
        return cls(file, code, ast.parse(source, file.filename))

    def symbols(self, statements: Statements) -> Iterator[CatalogSymbol]:
        """Every class and function of the file that can run."""
        nodes = {(node.name, _first_line(node)): node for node in ast.walk(self.tree) if isinstance(node, _Definition)}
        outer: list[tuple[CodeType, str]] = [(self.code, "")]  # what may hold definitions, with the class that it is
        while outer:
            holder, class_name = outer.pop()
            for code in _defined_in(holder):
                node = nodes.get((code.co_name, code.co_firstlineno))
                if node is None or (symbol := self._symbol(code, node)) is None:
                    outer.append((code, class_name))  # <generic parameters of f> stands between a class and its f
                    continue
                is_class = isinstance(node, ast.ClassDef)
                outer.append((code, code.co_qualname if is_class else ""))
                body = self._body(node)
                own = set(body).difference(*(self._block(inner) for inner in _functions_in(node)))
                yield CatalogSymbol(
                    symbol=symbol,
                    kind="class" if is_class else "function",
                    file=self.file.path,
                    end_line=_end_line(node),
                    executable_lines=tuple(sorted(own & statements.executable)),
                    parent=class_name,
                    digest=self._digest(node),
                    excluded=node.lineno in statements.excluded
                    or bool(own & statements.excluded and not own & statements.executable),
                )

    def _symbol(self, code: CodeType, node: _Definition) -> Symbol | None:
        if isinstance(node, ast.ClassDef):
            is_body = not code.co_flags & CO_OPTIMIZED
            return Symbol(self.file.module, code.co_qualname, code.co_firstlineno) if is_body else None
        return symbol_of(code, self.file)

    def _digest(self, node: _Definition) -> str:
        """Of the text as it would stand at the left margin; the syntax tree's dump differs between interpreters."""
        lines = linecache.getlines(self.file.filename)[_first_line(node) - 1 : _end_line(node)]
        text = textwrap.dedent("".join(lines)).rstrip()
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def _body(self, node: _Definition) -> range:
        """The lines of a body; where it stands on the line of the ``def``, that line is its first."""
        return self._block(node) or range(node.lineno, _end_line(node) + 1)

    def _block(self, node: _Definition) -> range:
        """The lines of a body that stands on lines of its own; none where it follows the colon."""
        first = node.body[0]
        before = linecache.getline(self.file.filename, first.lineno).encode()[: first.col_offset]
        return range(0) if before.strip() else range(_first_line(first), _end_line(node) + 1)


def _defined_in(code: CodeType) -> list[CodeType]:
    """The code objects that ``code`` can make something of; its constants also hold some that the compiler dropped."""
    if not any(isinstance(constant, CodeType) for constant in code.co_consts):
        return []
    loaded = (instruction.argval for instruction in dis.get_instructions(code))
    return [value for value in loaded if isinstance(value, CodeType)]


def _functions_in(node: _Definition) -> Iterator[_Function]:
    return (inner for inner in ast.walk(node) if isinstance(inner, _Function) and inner is not node)


def _first_line(node: ast.stmt) -> int:
    """The line of the first decorator, else of the statement: what the compiler takes for co_firstlineno."""
    decorators = node.decorator_list if isinstance(node, _Definition) else []
    return decorators[0].lineno if decorators else node.lineno


def _end_line(node: _Definition) -> int:
    return node.end_lineno or node.lineno
