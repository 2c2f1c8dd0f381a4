"""Random changes of a source tree, each of one place."""

from __future__ import annotations

import ast
import operator
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_CALCULATED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef

Change = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A file with another content, and what was done to it."""

    file: Path
    source: str
    what: str


def mutants(folder: Path, count: int, seed: int) -> Iterator[Mutant]:
    """So many changes of the Python files below a folder, of each kind about as many."""
    chance = random.Random(seed)
    files = sorted(path for path in folder.rglob("*.py") if path.read_text().strip())
    kinds = [
        _comparison,
        _calculation,
        _constant,
        _statement,
        _condition,
        _result,
        _decorator,
        _gone,
        _renamed,
        _taken_over,
    ]
    for number in range(count):
        kind = kinds[number % len(kinds)]
        while True:
            file = chance.choice(files)
            tree = ast.parse(file.read_text())
            places = list(kind(tree))
            if places:
                what, change = chance.choice(places)
                change()
                yield Mutant(
                    file, f"{ast.unparse(ast.fix_missing_locations(tree))}\n", f"{file.relative_to(folder)}: {what}"
                )
                break


def _comparison(tree: ast.Module) -> Iterator[tuple[str, Change]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            other = _COMPARED[type(node.ops[0])]()
            yield (
                f"line {node.lineno}: another comparison",
                partial(operator.setitem, node.ops, 0, other),
            )


def _calculation(tree: ast.Module) -> Iterator[tuple[str, Change]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and type(node.op) in _CALCULATED:
            other = _CALCULATED[type(node.op)]()
            yield f"line {node.lineno}: another operator", partial(setattr, node, "op", other)


def _constant(tree: ast.Module) -> Iterator[tuple[str, Change]]:
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in texts and isinstance(node.value, str | int):
            other = (
                f"{node.value}x"
                if isinstance(node.value, str)
                else not node.value
                if isinstance(node.value, bool)
                else node.value + 1
            )
            yield f"line {node.lineno}: {other!r}", partial(setattr, node, "value", other)


def _statement(tree: ast.Module) -> Iterator[tuple[str, Change]]:
    for holder in ast.walk(tree):
        body = getattr(holder, "body", None)
        if isinstance(body, list) and not isinstance(holder, ast.Module):
            for place, node in enumerate(body):
                if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                    yield (
                        f"line {node.lineno}: left out",
                        partial(operator.setitem, body, place, ast.Pass()),
                    )


def _condition(tree: ast.Module) -> Iterator[tuple[str, Change]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp):
            yield (
                f"line {node.lineno}: the contrary",
                partial(setattr, node, "test", ast.UnaryOp(ast.Not(), node.test)),
            )


def _result(tree: ast.Module) -> Iterator[tuple[str, Change]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and node.value is not None:
            yield f"line {node.lineno}: returns None", partial(setattr, node, "value", ast.Constant(None))


def _decorator(tree: ast.Module) -> Iterator[tuple[str, Change]]:
    for node in ast.walk(tree):
        if isinstance(node, _Function | ast.ClassDef) and node.decorator_list:
            yield f"{node.name}: not decorated", node.decorator_list.clear


def _gone(tree: ast.Module) -> Iterator[tuple[str, Change]]:
    for holder in ast.walk(tree):
        if isinstance(holder, ast.Module | ast.ClassDef):
            for node in holder.body:
                if isinstance(node, _Function):
                    yield f"{node.name}: gone", partial(_replace, holder.body, node)


def _renamed(tree: ast.Module) -> Iterator[tuple[str, Change]]:
    for node in ast.walk(tree):
        if isinstance(node, _Function):
            yield f"{node.name}: renamed", partial(setattr, node, "name", f"{node.name}_of_old")


def _taken_over(tree: ast.Module) -> Iterator[tuple[str, Change]]:
    """A class gets a method that another class of the file has, or one that its base has."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    names = {each.name for node in classes for each in node.body if isinstance(each, _Function)} | {"note", "history"}
    for node in classes:
        for name in sorted(names - {each.name for each in node.body if isinstance(each, _Function)}):
            method = ast.parse(f"def {name}(self, *args, **kwargs): return None").body[0]
            yield f"{node.name}.{name}: new", partial(node.body.append, method)


def _replace(body: list[ast.stmt], node: ast.stmt) -> None:
    body[body.index(node)] = ast.Pass()
