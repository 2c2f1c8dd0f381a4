"""The code of a file as the interpreter would compile it: its functions, and what runs when it is imported.

Comments, blank lines and where something stands make no difference; whatever else the syntax tree has does.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeGuard

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = _Function | ast.ClassDef

_SPACE = re.compile(r"\s")
_WORD = re.compile(r"[^\W\d]\w*")
# A decorator that calls the function it decorates, whenever that is called, and keeps nothing.
_PLAIN_DECORATORS = {"property", "staticmethod", "classmethod", "override", "final"}
_ACCESSORS = {"setter", "getter", "deleter"}
_KEEPS = re.compile("cache|memo|singleton|once", re.IGNORECASE)
# What finds names that no source spells out.
_DYNAMIC = {"globals", "vars", "dir", "eval", "exec", "__dict__", "__subclasses__", "from_object", "getmembers"}
_BY_NAME = {"getattr", "setattr", "delattr", "hasattr", "attrgetter", "methodcaller", "import_string", "import_module"}
_PURE = (
    ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.UnaryOp, ast.BinOp, ast.Name, ast.Attribute,
    ast.Subscript, ast.Slice, ast.Lambda, ast.JoinedStr, ast.FormattedValue, ast.BoolOp, ast.Starred,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Names:
    """The names that some code spells out.

    Attributes:
        used: identifiers that it reads, attributes, and the words of texts without spaces.
        imported: names that it imports from elsewhere; it fails where one is missing.
        dynamic: whether it also looks for names that are made when it runs.
    """

    used: frozenset[str] = frozenset()
    imported: frozenset[str] = frozenset()
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A function.

    Attributes:
        qualname: as the interpreter has it.
        line, end_line: from its first decorator to its end.
        text: its body, without those of functions in it.
        interface: its arguments, annotations and type parameters; empty for a function in a function, whose interface
            is part of that one's body.
        decorators: what stands before it, of what the interpreter runs when it defines the function.
        plain: whether to define it does nothing else than bind its name.
        keeps: whether what it returns may be kept for callers that then do not execute it.
        holder: the class that it is a method of; empty for none.
        names: what its own body spells out.
    """

    qualname: str
    line: int
    end_line: int
    text: str
    interface: str
    decorators: str
    plain: bool
    keeps: bool
    holder: str
    names: Names

    @property
    def name(self) -> str:
        """The last part of its qualname."""
        return self.qualname.rpartition(".")[2]

    @property
    def is_inner(self) -> bool:
        """Whether it is defined by another function when that runs."""
        return "<locals>" in self.qualname


@dataclass(frozen=True, slots=True)
class Class:
    """A class that is defined when its module is imported.

    Attributes:
        bases: their names without the packages; ``*`` for one that is not a name.
        plain: whether it has no decorators, and no keywords such as a metaclass.
    """

    bases: tuple[str, ...]
    plain: bool


@dataclass(frozen=True, slots=True)
class Code:
    """The code of one file.

    Attributes:
        functions: all of them, in the order of the source.
        classes: those that importing it defines, by qualname.
        constants: by name, each value that is bound once, and to compute which runs nothing else.
        imports: what else runs when the file is imported, in order, and which names it uses before they are bound.
        names: what that spells out, the constants and decorators included.
    """

    functions: tuple[Function, ...]
    classes: dict[str, Class]
    constants: dict[str, str]
    imports: tuple[str, ...]
    names: Names


def parse(source: bytes) -> Code:
    """Read a file's content.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: this interpreter cannot compile it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler about the source
        tree = ast.parse(source)
    reader = _Reader()
    reader.scope(tree, "", "", is_function=False)
    bound = [name for name in map(_bound, tree.body) if name]
    constants: dict[str, str] = {}
    imports: list[str] = []
    for statement in tree.body:
        name = _bound(statement)
        if name and bound.count(name) == 1 and not name.startswith("__all"):
            constants[name] = ast.dump(statement)
        else:
            imports += reader.imports(statement)
    constants["__doc__"] = "\n".join([constants.get("__doc__", ""), *reader.texts])
    return Code(
        tuple(reader.functions),
        reader.classes,
        constants,
        (*imports, *_forward_references(tree)),
        _names([tree]),
    )


class _Reader:
    """Collects functions, and takes the body of each out of the syntax tree, so that what remains is what is around."""

    def __init__(self) -> None:
        self.functions: list[Function] = []
        self.classes: dict[str, Class] = {}
        self.texts: list[str] = []  # of classes, where their docstrings stand
        self._plain: dict[int, bool] = {}  # by id of a definition's node, which the tree keeps alive

    def scope(self, node: ast.AST, prefix: str, holder: str, *, is_function: bool) -> None:
        """Take in the definitions directly in a module, a class or a function."""
        free = {name for each in _own_nodes(node) if isinstance(each, ast.Global) for name in each.names}
        for each in [each for each in _own_nodes(node) if isinstance(each, _Definition)]:
            qualname = each.name if is_function and each.name in free else f"{prefix}{each.name}"
            if isinstance(each, ast.ClassDef):
                if not is_function:
                    self.classes[qualname] = Class(
                        tuple(map(_last_name, each.bases)), not (each.decorator_list or each.keywords)
                    )
                self.scope(each, f"{qualname}.", qualname, is_function=False)
            else:
                self._function(each, qualname, holder if not is_function else "", is_inner=is_function)

    def _function(self, node: _Function, qualname: str, holder: str, *, is_inner: bool) -> None:
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        place = len(self.functions)
        self.scope(node, f"{qualname}.<locals>.", "", is_function=True)
        keeps = any(isinstance(each, ast.Global) for each in _own_nodes(node)) or any(
            _KEEPS.search(name) for each in node.decorator_list for name in _names([each]).used
        )
        text = "\n".join(map(ast.dump, node.body))
        names = _names(node.body)
        node.body = []
        interface = [node.args, node.returns, *getattr(node, "type_params", [])]
        defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults), *_annotations(node)]
        self._plain[id(node)] = plain = all(map(_is_plain, node.decorator_list)) and all(map(_is_pure, defaults))
        found = Function(
            qualname,
            first,
            node.end_lineno or node.lineno,
            text,
            "" if is_inner else f"{type(node).__name__} " + "\n".join(ast.dump(each) for each in interface if each),
            "\n".join(map(ast.dump, node.decorator_list)),
            plain,
            keeps,
            holder,
            names,
        )
        self.functions.insert(place, found)

    def imports(self, statement: ast.stmt) -> Iterator[str]:
        """What a statement does when its file is imported; nothing for a function that it only binds."""
        if isinstance(statement, _Function) and self._plain[id(statement)]:
            return
        if isinstance(statement, ast.ClassDef):
            header = ast.ClassDef(**{**dict(ast.iter_fields(statement)), "body": []})
            yield f"{ast.dump(header)} begins"
            for each in statement.body:
                if _bound(each) == "__doc__":
                    self.texts.append(ast.dump(each))
                else:
                    yield from self.imports(each)
            yield "ends"
            return
        yield ast.dump(statement)


def _forward_references(tree: ast.Module) -> Iterator[str]:
    """Names of the module's own that a statement uses before they are bound: importing it may fail there."""
    lazy = any(isinstance(each, ast.ImportFrom) and each.module == "__future__" for each in tree.body)
    bound_at: dict[str, int] = {}
    for place, statement in enumerate(tree.body):
        for name in _binds(statement):
            bound_at.setdefault(name, place)
    for place, statement in enumerate(tree.body):
        runs: list[ast.AST] = [statement]
        if isinstance(statement, _Function):
            arguments = statement.args
            runs = [*statement.decorator_list, *arguments.defaults, *filter(None, arguments.kw_defaults)]
            runs += [] if lazy else _annotations(statement)
        elif lazy and isinstance(statement, ast.AnnAssign):
            runs = [statement.value] if statement.value is not None else []
        used = {each.id for node in runs for each in ast.walk(node) if _is_read(each)}
        yield from (f"{name} is used before it is bound" for name in sorted(used) if bound_at.get(name, 0) > place)


def _is_read(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def _binds(statement: ast.stmt) -> set[str]:
    if isinstance(statement, _Definition):
        return {statement.name}
    return {each.id for each in ast.walk(statement) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, the definitions in it included, but not what is in these."""
    remaining = list(ast.iter_child_nodes(scope))[::-1]
    while remaining:
        node = remaining.pop()
        yield node
        if not isinstance(node, _Definition):
            remaining.extend(list(ast.iter_child_nodes(node))[::-1])


def _bound(statement: ast.stmt) -> str:
    """The name that a statement binds to a value, where computing that runs nothing else; ``__doc__`` for a text."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return "__doc__"
    target: ast.expr
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None and _is_pure(statement.annotation):
        target, value = statement.target, statement.value
    else:
        return ""
    return target.id if isinstance(target, ast.Name) and _is_pure(value) else ""


def _is_pure(node: ast.AST) -> bool:
    return all(
        isinstance(each, (*_PURE, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.arguments, ast.arg))
        for each in ast.walk(node)
        if not isinstance(node, ast.Lambda)
    )


def _is_plain(decorator: ast.expr) -> bool:
    if isinstance(decorator, ast.Attribute) and decorator.attr in _ACCESSORS:
        return True
    return isinstance(decorator, ast.Name | ast.Attribute) and _last_name(decorator) in _PLAIN_DECORATORS


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else "*"


def _annotations(node: _Function) -> Iterator[ast.expr]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    yield from (each.annotation for each in every if each is not None and each.annotation is not None)
    if node.returns is not None:
        yield node.returns


def _names(nodes: Sequence[ast.AST]) -> Names:
    """The names of nodes from which the bodies of functions have been taken out."""
    used: set[str] = set()
    imported: set[str] = set()
    dynamic = False
    every = [each for root in nodes for each in ast.walk(root)]
    texts = {id(each.value) for each in every if isinstance(each, ast.Expr)}
    for node in every:
        if isinstance(node, ast.Name):
            used.update([node.id] if _is_read(node) else [])
        elif isinstance(node, ast.Attribute):
            used.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in texts and not _SPACE.search(node.value):  # shop.jobs.fulfil, shop.jobs:fulfil
                used.update(_WORD.findall(node.value))
        elif isinstance(node, ast.keyword) and node.arg:
            used.add(node.arg)
        elif isinstance(node, ast.alias):
            parts = set(node.name.split("."))
            imported |= parts
            if node.asname and node.asname != node.name:
                used |= parts
        elif isinstance(node, ast.Call) and _last_name(node.func) in _BY_NAME:
            named = node.args[1:2] or node.args[:1]
            dynamic |= not all(isinstance(each, ast.Constant) for each in named)
    return Names(frozenset(used), frozenset(imported), dynamic or bool(used & _DYNAMIC) or "*" in imported)


@dataclass(frozen=True, slots=True)
class CodeChange:
    """What became of one thing in a file.

    Attributes:
        kind: ``function``, ``constant``, or ``module`` for what runs when it is imported.
        change: ``added``, ``deleted`` or ``changed``.
        name: its qualname or name; empty for a module.
        before, after: the function, where it is one.
    """

    kind: str
    change: str
    name: str = ""
    before: Function | None = None
    after: Function | None = None


def compare(before: Code, after: Code) -> list[CodeChange]:
    """What differs, as the interpreter would compile it; empty for nothing."""
    found: list[CodeChange] = []
    if before.imports != after.imports:
        found.append(CodeChange("module", "changed"))
    for name in sorted({*before.constants, *after.constants}):
        was, now = before.constants.get(name), after.constants.get(name)
        if was != now:
            found.append(CodeChange("constant", _change(was, now), name))
    functions_before, functions_after = _by_name(before.functions), _by_name(after.functions)
    for name in [*functions_after, *(name for name in functions_before if name not in functions_after)]:
        found += _of_function(name, functions_before.get(name, []), functions_after.get(name, []))
    return found


def _change(before: object, after: object) -> str:
    return "added" if before is None else "deleted" if after is None else "changed"


def _of_function(name: str, before: list[Function], after: list[Function]) -> Iterator[CodeChange]:
    """The changes of the functions of one name: those that are the same belong together, the others by their order."""
    rest = list(before)
    left: list[Function] = []
    for function in after:
        same = [each for each in rest if _content(each) == _content(function)]
        if same:
            rest.remove(same[0])
        else:
            left.append(function)
    for place in range(max(len(rest), len(left))):
        was = rest[place] if place < len(rest) else None
        now = left[place] if place < len(left) else None
        # an inner one that is not there any more, or new, changed what is around it
        if was is None and now is not None and now.is_inner:
            continue
        yield CodeChange("function", _change(was, now), name, was, now)


def _content(function: Function) -> tuple[str, str, str]:
    return function.text, function.interface, function.decorators


def _by_name(functions: Iterable[Function]) -> dict[str, list[Function]]:
    found: dict[str, list[Function]] = {}
    for function in functions:
        found.setdefault(function.qualname, []).append(function)
    return found
