"""The catalog of the standard library, held against a walk of its syntax trees that shares no code with it."""

from __future__ import annotations

import ast
import dis
import json
import sys
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import NamedTuple

import pytest

from otel_coverage.catalog import Catalog, build
from otel_coverage.source import SourceTree

ROOT = Path(sysconfig.get_path("stdlib"))
PACKAGES = ("asyncio", "collections", "email", "importlib", "json", "unittest")
MODULES = ("dataclasses", "enum", "functools", "inspect", "typing", "zipfile")

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Defined(NamedTuple):
    """A definition, as the language reference (PEP 3155 for its name) and the syntax tree have it."""

    file: str
    qualname: str
    line: int
    end_line: int
    kind: str
    parent: str
    decorators: tuple[str, ...]
    summary: str


def walked(path: Path, file: str) -> Iterator[Defined]:
    """The definitions of a file."""
    with tokenize.open(path) as source:
        tree = ast.parse(source.read())
    remaining: list[tuple[ast.AST, str, str, frozenset[str]]] = [(tree, "", "", frozenset())]
    while remaining:
        node, prefix, parent, global_names = remaining.pop()
        if isinstance(node, _Definition):
            # what is declared global is named as if it stood outside
            qualname = node.name if node.name in global_names else prefix + node.name
            is_class = isinstance(node, ast.ClassDef)
            yield Defined(
                file,
                qualname,
                min(each.lineno for each in (node, *node.decorator_list)),
                node.end_lineno or 0,
                "class" if is_class else "function",
                parent,
                tuple(ast.unparse(each) for each in node.decorator_list),
                first_line(ast.get_docstring(node)),
            )
            inside = f"{qualname}." if is_class else f"{qualname}.<locals>."
            names = globals_in(node)
            remaining += [(each, inside, qualname if is_class else "", names) for each in node.body]
        else:
            remaining += [(each, prefix, parent, global_names) for each in ast.iter_child_nodes(node)]


def first_line(docstring: str | None) -> str:
    lines = (docstring or "").strip().splitlines()
    return " ".join(lines[0].split())[:200] if lines else ""


def globals_in(node: _Definition) -> frozenset[str]:
    """The names that a body declares global, not those of the definitions in it."""
    found: set[str] = set()
    remaining: list[ast.AST] = list(node.body)
    while remaining:
        each = remaining.pop()
        if isinstance(each, ast.Global):
            found.update(each.names)
        elif not isinstance(each, _Definition):
            remaining += ast.iter_child_nodes(each)
    return frozenset(found)


def compiled(path: Path) -> set[tuple[str, int]]:
    """Name and first line of all code of a file that the interpreter can reach."""
    found: set[tuple[str, int]] = set()
    remaining = [compile(path.read_bytes(), str(path), "exec", dont_inherit=True, optimize=0)]
    while remaining:
        code = remaining.pop()
        found.add((code.co_name, code.co_firstlineno))
        # not all constants: up to 3.12 those of dropped statements are kept
        remaining += [each.argval for each in dis.get_instructions(code) if isinstance(each.argval, CodeType)]
    return found


def as_walked(catalog: Catalog) -> set[Defined]:
    return {
        Defined(
            entry.file,
            entry.symbol.qualname,
            entry.symbol.line,
            entry.end_line,
            entry.kind,
            entry.parent,
            tuple(normalized(each) for each in entry.decorators),
            entry.summary,
        )
        for entry in catalog.symbols
    }


def normalized(decorator: str) -> str:
    return ast.unparse(ast.parse(decorator, mode="eval"))


def differences(root: Path, catalog: Catalog) -> tuple[list[Defined], list[Defined]]:
    """What the walk has and the catalog has not, apart from what the compiler drops; and the other way round."""
    expected: set[Defined] = set()
    for file in catalog.files:
        path = root / file.path
        kept = compiled(path)
        expected |= {each for each in walked(path, file.path) if (each.qualname.rpartition(".")[2], each.line) in kept}
    found = as_walked(catalog)
    return sorted(expected - found), sorted(found - expected)


def test_definitions_of_the_standard_library_are_those_of_its_syntax_trees() -> None:
    sources = [*(str(ROOT / name) for name in PACKAGES), *(str(ROOT / f"{name}.py") for name in MODULES)]
    catalog = build(SourceTree([each for each in sources if Path(each).exists()]), in_parallel=True)
    assert catalog.errors == ()
    assert len(catalog.symbols) > 2000
    assert differences(ROOT, catalog) == ([], [])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("if 0:\n    def never(): pass\ndef f(): pass\n", ["f"]),
        ("def f():\n    global g\n    def g():\n        def h(): pass\n", ["f", "g", "g.<locals>.h"]),
        ("class A:\n    if True:\n        def f(self): pass\n    else:\n        def f(self): return 1\n", ["A", "A.f"]),
        ("try:\n    class A: pass\nexcept E:\n    class A: pass\n", ["A", "A"]),
    ],
    ids=["dropped", "global", "branch", "twice"],
)
def test_the_walk_and_the_catalog_agree_where_the_names_of_definitions_are_not_plain(
    tmp_path: Path, text: str, names: list[str]
) -> None:
    (tmp_path / "m.py").write_text(text)
    catalog = build(SourceTree([str(tmp_path / "m.py")]))
    assert [entry.symbol.qualname for entry in catalog.symbols] == names
    assert differences(tmp_path, catalog) == ([], [])


if __name__ == "__main__":  # python -m tests.catalog.test_standard_library: all of it, or the folder that is named
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    whole = build(SourceTree([str(folder)]), in_parallel=True, cached=True)
    lacking, additional = differences(folder if not (folder / "__init__.py").exists() else folder.parent, whole)
    counts = {"files": len(whole.files), "symbols": len(whole.symbols), "errors": [str(each) for each in whole.errors]}
    print(
        json.dumps(counts, indent=1),
        *lacking,
        *additional,
        f"{len(lacking)} lacking, {len(additional)} additional",
        sep="\n",
    )
