"""The catalog and the running interpreter agree about names and lines, in randomly drawn programs."""

from __future__ import annotations

import ast
import itertools
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from otel_coverage.catalog import Catalog, build
from otel_coverage.code_objects import loaded_by
from otel_coverage.source import SourceTree
from tests.catalog.programs import PRELUDE, programs

_numbers = itertools.count(1)


class Program:
    """A drawn source in its own file."""

    def __init__(self, folder: Path, source: str) -> None:
        self.path = folder / f"m{next(_numbers)}.py"
        self.path.write_text(source, encoding="utf-8")
        self.source = source
        self.module = self.path.stem

    def catalog(self) -> Catalog:
        return build(SourceTree([str(self.path)]))

    def qualnames(self) -> dict[CodeType, str]:
        """The qualified name of each code object, which knows it itself from 3.11 on."""
        found: dict[CodeType, str] = {}
        remaining = [(compile(self.source, str(self.path), "exec", dont_inherit=True), "<module>")]
        while remaining:
            code, found[code] = remaining.pop()
            remaining += loaded_by(code)
        return found

    def run(self) -> dict[CodeType, set[int]]:
        """Run it; returns the executed lines of each code object."""
        ran: dict[CodeType, set[int]] = defaultdict(set)
        filename = str(self.path)

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            if frame.f_code.co_filename != filename:
                return None
            ran[frame.f_code].update([frame.f_lineno] if event == "line" else [])
            return trace

        def execute() -> None:
            sys.settrace(trace)
            try:
                exec(compile(self.source, filename, "exec", dont_inherit=True), {"__name__": self.module})
            finally:
                sys.settrace(None)

        thread = threading.Thread(target=execute)  # other tracers of this thread are not disturbed
        thread.start()
        thread.join()
        return ran


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


def definitions(node: ast.AST, prefix: str = "") -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """Each ``def`` with its qualname by the language reference: PEP 3155, independently of the compiler."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child, prefix + child.name
            yield from definitions(child, f"{prefix}{child.name}.<locals>.")
        else:
            yield from definitions(child, f"{prefix}{child.name}." if isinstance(child, ast.ClassDef) else prefix)


drawn = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


# functions whose code objects look like hidden scopes: only the source can tell
LATE_DECORATORS = """
@(
    lambda each: each
)
def f():
    "only a docstring"
call(f)
@ \\
  plain
def g():
    "only a docstring"
call(g)
@(  # a comment

    (plain))
def h():
    "only a docstring"
call(h)
"""


@drawn
@example(source=PRELUDE + LATE_DECORATORS)
@given(source=programs())
def test_every_function_that_runs_is_in_the_catalog_under_the_same_name(folder: Path, source: str) -> None:
    program = Program(folder, source)
    known = {entry.id for entry in program.catalog().symbols if entry.kind == "function"}
    names = program.qualnames()
    ran = {
        f"{program.module}:{names[code]}@{code.co_firstlineno}"
        for code in program.run()
        if code.co_flags & CO_OPTIMIZED and not code.co_name.startswith("<")
    }
    assert f"{program.module}:call@{source[: source.index('def call')].count(chr(10)) + 1}" in known
    assert ran <= known


@drawn
@example(source=PRELUDE + LATE_DECORATORS)
@given(source=programs())
def test_every_def_is_in_the_catalog_once_and_nothing_else_is(folder: Path, source: str) -> None:
    program = Program(folder, source)
    functions = [entry for entry in program.catalog().symbols if entry.kind == "function"]
    expected = {
        (name, min([node.lineno, *(each.lineno for each in node.decorator_list)]), node.end_lineno)
        for node, name in definitions(ast.parse(source))
    }
    assert sorted((entry.symbol.qualname, entry.symbol.line, entry.end_line) for entry in functions) == sorted(expected)


@drawn
@given(source=programs())
def test_lines_that_a_body_executes_are_its_own_executable_lines(folder: Path, source: str) -> None:
    program = Program(folder, source)
    catalog = program.catalog()
    statements = set(catalog.files[0].executable_lines)
    own = {(entry.symbol.qualname, entry.symbol.line): set(entry.executable_lines) for entry in catalog.symbols}
    names = program.qualnames()
    for code, lines in program.run().items():
        if code.co_name.startswith("<"):
            continue
        body = own[names[code], code.co_firstlineno]
        assert lines & statements - {code.co_firstlineno} <= body | headers(source, code)
        assert body <= statements


def headers(source: str, code: CodeType) -> set[int]:
    """The lines of the definition that ``code`` comes from, up to its body."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == code.co_name:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first == code.co_firstlineno:
                return set(range(first, node.body[0].lineno))
    raise AssertionError(f"{code} has no definition")
