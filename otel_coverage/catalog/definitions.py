"""The definitions and statements of one file.

The file is compiled, not run: its code objects have the qualname and first line that the same code has when it runs,
whatever decorators, ``global`` statements, type parameters or redefinitions do to them. The end of a definition and the
start of its body come from the syntax tree. Which lines count as statements is coverage.py's decision.

Definitions that the compiler drops (below ``if False:``, after a ``return``) are left out: they cannot run, and
coverage.py does not count their lines either.
"""

from __future__ import annotations

import ast
import hashlib
import linecache
import textwrap
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import CodeType, TracebackType
from typing import TYPE_CHECKING

import coverage.exceptions

from otel_coverage.catalog.catalog import Kind
from otel_coverage.code_objects import loaded_by
from otel_coverage.coveragepy import close_data, read_configuration
from otel_coverage.errors import ConfigurationError
from otel_coverage.source import SourceFile, encodable
from otel_coverage.symbols import is_function

if TYPE_CHECKING:
    from typing_extensions import Self

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = _Function | ast.ClassDef

_LONGEST = 200  # characters of a decorator, and of a docstring's first line

_STATEMENT_FIELDS = ("body", "handlers", "cases", "orelse", "finalbody")
_HOLDERS: dict[type[ast.AST], list[str]] = {}  # which of them a type of node has


@dataclass(frozen=True, slots=True)
class Statements:
    """First lines of a file's statements: the executable ones, and those that coverage.py's configuration excludes."""

    executable: frozenset[int]
    excluded: frozenset[int]


class StatementReader:
    """Reads statements with coverage.py, so that its configuration (``exclude_lines``) applies.

    Args:
        rcfile: the coverage.py configuration; None for its defaults.

    Raises:
        ConfigurationError: coverage.py cannot use the configuration.

    Attributes:
        exclude_lines: the expressions of the lines that the configuration excludes.
    """

    def __init__(self, rcfile: str | None = None) -> None:
        self._rcfile = rcfile
        self._coverage = read_configuration(rcfile)
        exclude = self._coverage.get_option("report:exclude_lines")
        self.exclude_lines = tuple(map(str, exclude)) if isinstance(exclude, list) else ()

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
        except coverage.exceptions.CoverageException as error:
            raise ConfigurationError(f"{self._rcfile or 'coverage.py'}: {error}") from error
        return Statements(frozenset(executable), frozenset(excluded))


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class: the part of a :class:`.CatalogSymbol` that the file's text alone decides.

    Attributes:
        qualname, line, kind, end_line, executable_lines, parent, digest, excluded, decorators, summary: as in
            :class:`.CatalogSymbol`.
    """

    qualname: str
    line: int
    kind: Kind
    end_line: int
    executable_lines: tuple[int, ...]
    parent: str
    digest: str
    excluded: bool
    decorators: tuple[str, ...]
    summary: str


class ParsedFile:
    """A file, its module's code object and its definitions' syntax trees.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: this interpreter cannot compile the file.
        OSError: the file cannot be read.

    Attributes:
        source: the file's content.
    """

    def __init__(self, file: SourceFile) -> None:
        linecache.checkcache(file.filename)
        self.source = Path(file.filename).read_bytes()
        self._file = file
        self._code = compile(self.source, file.filename, "exec", dont_inherit=True, optimize=0)
        self._nodes = _definitions_in(ast.parse(self.source, file.filename))
        self._lines = linecache.getlines(file.filename)

    def definitions(self, statements: Statements) -> Iterator[Definition]:
        """Every class and function that the compiler kept."""
        executable, excluded = sorted(statements.executable), sorted(statements.excluded)
        outer: list[tuple[CodeType, str]] = [(self._code, "")]  # code objects to search, with their classes' qualnames
        while outer:
            holder, class_name = outer.pop()
            for code, qualname in loaded_by(holder):
                found = self._nodes.get((code.co_name, code.co_firstlineno))
                if found is None or not self._is_body_of(code, found.node):
                    outer.append((code, class_name))  # e.g. <generic parameters of f>, between a class and its f
                    continue
                node = found.node
                is_class = isinstance(node, ast.ClassDef)
                outer.append((code, qualname if is_class else ""))
                own = self._own_lines(found)
                own_executable = own.of(executable)
                yield Definition(
                    qualname=qualname,
                    line=code.co_firstlineno,
                    kind="class" if is_class else "function",
                    end_line=_end_line(node),
                    executable_lines=tuple(own_executable),
                    parent=class_name,
                    digest=self._digest(node),
                    excluded=node.lineno in statements.excluded or bool(not own_executable and own.of(excluded)),
                    decorators=tuple(map(self._text, node.decorator_list)),
                    summary=_summary(node),
                )

    def _is_body_of(self, code: CodeType, node: _Definition) -> bool:
        if isinstance(node, ast.ClassDef):
            return not code.co_flags & CO_OPTIMIZED
        return is_function(code, self._file)

    def _text(self, node: ast.expr) -> str:
        """The text of an expression, on one line."""
        end_line, end = node.end_lineno or node.lineno, node.end_col_offset
        lines = [line.encode("utf-8", "surrogatepass") for line in self._lines[node.lineno - 1 : end_line]]
        if not lines or end is None:
            return ""
        lines[-1] = lines[-1][:end]
        lines[0] = lines[0][node.col_offset :]  # in bytes, as the end is
        return _short(b"".join(lines).decode("utf-8", "replace"))

    def _digest(self, node: _Definition) -> str:
        """Digest of the dedented text; a dump of the syntax tree would differ between interpreters."""
        text = _dedent(self._lines[_first_line(node) - 1 : _end_line(node)]).rstrip()
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def _own_lines(self, found: _Found) -> _LineRanges:
        """The lines of a body, without the blocks of the functions in it, which have their own.

        The ``def`` line included where the body begins on it.
        """
        body = self._block(found.node) or range(found.node.lineno, _end_line(found.node) + 1)
        blocks = [block for block in map(self._block, found.functions) if block]
        starts = [body.start, *(block.stop for block in blocks)]
        stops = [*(block.start for block in blocks), body.stop]
        return _LineRanges(list(zip(starts, stops, strict=True)))

    def _block(self, node: _Definition) -> range:
        """The lines of a body that has lines of its own; empty where it follows the colon."""
        first = node.body[0]
        line = self._lines[first.lineno - 1] if first.lineno <= len(self._lines) else ""
        before = line.encode()[: first.col_offset]
        return range(0) if before.strip() else range(_first_line(first), _end_line(node) + 1)


@dataclass(frozen=True, slots=True)
class _Found:
    """A definition's syntax tree, and the outermost functions in it, in the order of the source."""

    node: _Definition
    functions: list[_Function]


@dataclass(frozen=True, slots=True)
class _LineRanges:
    """Ranges of lines, from a first one up to one that does not belong to it; they do not overlap."""

    ranges: list[tuple[int, int]]

    def of(self, lines: list[int]) -> list[int]:
        """Those of ``lines``, which are sorted, that lie in the ranges."""
        found: list[int] = []
        for start, stop in self.ranges:
            found += lines[bisect_left(lines, start) : bisect_left(lines, stop)]
        return found


def _definitions_in(tree: ast.Module) -> dict[tuple[str, int], _Found]:
    """Every definition of a file, by name and first line. Only statements are visited: no expression holds one."""
    found: dict[tuple[str, int], _Found] = {}
    # what remains to be visited, each with the definitions around it up to the next function
    remaining: list[tuple[ast.AST, tuple[_Found, ...]]] = [(tree, ())]
    while remaining:
        node, around = remaining.pop()
        if isinstance(node, _Definition):
            definition = found[node.name, _first_line(node)] = _Found(node, [])
            if isinstance(node, ast.ClassDef):
                around = (*around, definition)
            else:
                for outer in around:
                    outer.functions.append(node)
                around = (definition,)
        remaining.extend((child, around) for child in reversed(_statements_in(node)))
    return found


def _statements_in(node: ast.AST) -> list[ast.AST]:
    """The statements directly below one, in the order of the source, and what holds statements: handlers, cases."""
    fields = _HOLDERS.get(type(node))
    if fields is None:
        fields = _HOLDERS[type(node)] = [name for name in _STATEMENT_FIELDS if name in node._fields]
    return [child for field in fields for child in getattr(node, field)]


def _dedent(lines: list[str]) -> str:
    """``textwrap.dedent`` of the lines; a tenth of its time where no line is indented less than the first."""
    margin = lines[0][: len(lines[0]) - len(lines[0].lstrip(" \t"))] if lines else ""
    dedented = []
    for line in lines:
        if not line.strip(" \t\n"):
            dedented.append("\n" if line.endswith("\n") else "")
        elif line.startswith(margin):
            dedented.append(line[len(margin) :])
        else:
            return textwrap.dedent("".join(lines))
    return "".join(dedented)


def _first_line(node: ast.stmt) -> int:
    """The line of the first decorator, else of the statement: the compiler's ``co_firstlineno``."""
    decorators = node.decorator_list if isinstance(node, _Definition) else []
    return decorators[0].lineno if decorators else node.lineno


def _summary(node: _Definition) -> str:
    """The first line of the docstring."""
    first = node.body[0]
    if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant):
        return ""
    text = first.value.value
    return _short(text.strip().partition("\n")[0]) if isinstance(text, str) else ""


def _short(text: str) -> str:
    return encodable(" ".join(text.split())[:_LONGEST])


def _end_line(node: _Definition) -> int:
    return node.end_lineno or node.lineno
