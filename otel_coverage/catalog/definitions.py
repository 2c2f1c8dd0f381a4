"""The definitions and statements of one file.

The file is compiled, not run: its code objects have the qualname and first line that the same code has when it runs,
whatever decorators, ``global`` statements, type parameters or redefinitions do to them. The end of a definition and the
start of its body come from the syntax tree. Which lines count as statements is coverage.py's decision.

Definitions that the compiler drops (below ``if False:``, after a ``return``) are left out: they cannot run, and
coverage.py does not count their lines either.
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
from types import CodeType, TracebackType
from typing import Self

import coverage
import coverage.exceptions

from otel_coverage.catalog.catalog import CatalogSymbol
from otel_coverage.coveragepy import close_data
from otel_coverage.errors import ConfigurationError
from otel_coverage.source import SourceFile
from otel_coverage.symbols import Symbol, symbol_of

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = _Function | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Statements:
    """First lines of a file's statements: the executable ones, and those that coverage.py's configuration excludes."""

    executable: frozenset[int]
    excluded: frozenset[int]


class StatementReader:
    """Reads statements with coverage.py, so that its configuration (``exclude_lines``) applies.

    Args:
        rcfile: the coverage.py configuration; None for its defaults.
    """

    def __init__(self, rcfile: str | None = None) -> None:
        self._rcfile = rcfile
        self._coverage = coverage.Coverage(data_file=None, config_file=rcfile or False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        close_data(self._coverage.get_data())

    def read(self, filename: str) -> Statements:
        """The statements of a file.

        Raises:
            SyntaxError: coverage.py cannot read the file.
            ConfigurationError: coverage.py cannot use its configuration.
        """
        try:
            _, executable, excluded, _, _ = self._coverage.analysis2(filename)
        except (coverage.exceptions.NotPython, coverage.exceptions.NoSource) as error:
            raise SyntaxError(str(error)) from error
        except coverage.CoverageException as error:
            raise ConfigurationError(f"{self._rcfile or 'coverage.py'}: {error}") from error
        return Statements(frozenset(executable), frozenset(excluded))


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file, its module's code object and its syntax tree."""

    file: SourceFile
    code: CodeType
    tree: ast.Module

    @classmethod
    def parse(cls, file: SourceFile) -> ParsedFile:
        """Read and compile a file, in the encoding that it declares.

        Raises:
            SyntaxError, ValueError, RecursionError, MemoryError: this interpreter cannot compile the file.
            OSError: the file cannot be read.
        """
        linecache.checkcache(file.filename)
        source = Path(file.filename).read_bytes()
        code = compile(source, file.filename, "exec", dont_inherit=True, optimize=0)
        return cls(file, code, ast.parse(source, file.filename))

    def symbols(self, statements: Statements) -> Iterator[CatalogSymbol]:
        """Every class and function that the compiler kept."""
        nodes = {(node.name, _first_line(node)): node for node in ast.walk(self.tree) if isinstance(node, _Definition)}
        outer: list[tuple[CodeType, str]] = [(self.code, "")]  # code objects to search, each with its class's qualname
        while outer:
            holder, class_name = outer.pop()
            for code in _defined_in(holder):
                node = nodes.get((code.co_name, code.co_firstlineno))
                if node is None or (symbol := self._symbol(code, node)) is None:
                    outer.append((code, class_name))  # e.g. <generic parameters of f>, between a class and its f
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
        """Digest of the dedented text; a dump of the syntax tree would differ between interpreters."""
        lines = linecache.getlines(self.file.filename)[_first_line(node) - 1 : _end_line(node)]
        text = textwrap.dedent("".join(lines)).rstrip()
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def _body(self, node: _Definition) -> range:
        """The lines of a body, including the ``def`` line where the body begins on it."""
        return self._block(node) or range(node.lineno, _end_line(node) + 1)

    def _block(self, node: _Definition) -> range:
        """The lines of a body that has lines of its own; empty where it follows the colon."""
        first = node.body[0]
        before = linecache.getline(self.file.filename, first.lineno).encode()[: first.col_offset]
        return range(0) if before.strip() else range(_first_line(first), _end_line(node) + 1)


def _defined_in(code: CodeType) -> list[CodeType]:
    """The code objects that ``code`` loads; its constants also contain those that the compiler dropped."""
    if not any(isinstance(constant, CodeType) for constant in code.co_consts):
        return []
    loaded = (instruction.argval for instruction in dis.get_instructions(code))
    return [value for value in loaded if isinstance(value, CodeType)]


def _functions_in(node: _Definition) -> Iterator[_Function]:
    return (inner for inner in ast.walk(node) if isinstance(inner, _Function) and inner is not node)


def _first_line(node: ast.stmt) -> int:
    """The line of the first decorator, else of the statement: the compiler's ``co_firstlineno``."""
    decorators = node.decorator_list if isinstance(node, _Definition) else []
    return decorators[0].lineno if decorators else node.lineno


def _end_line(node: _Definition) -> int:
    return node.end_lineno or node.lineno
