"""Randomly drawn Python programs: definitions in all places and forms, all of them called."""

from __future__ import annotations

import sys
from textwrap import indent

from hypothesis import strategies as st

NAMES = ("f", "g", "total", "__private", "ünïcode", "format")

_DECORATORS = (
    "@plain",
    "@plain\n@wrapping",
    "@made(\n    1,\n)",
    "# a comment\n@wrapping",
    "@(\n    lambda each: each\n)",
)
_PARAMETERS = (
    "",
    "a=1",
    "a=1, /",
    "*args",
    "**kwargs",
    "a=1, *, b=(lambda: 2)()",
    "\n    a=[x for x in (1, 2)],\n",
    "format=1, /",
)
_LEAVES = (
    "pass",
    '"""Only a docstring."""',
    "return 1",
    "x = (\n    1 +\n    2\n)",
    "x = [lambda: each for each in range(2)]",
    "x = {each: (other for other in ()) for each in (1,)}",
    "x: int = 1",
    "...",
)  # fmt: skip
_GENERIC = ("[T]", "[T: int]", "[T: (int, str)]", "[*Ts, **P]") if sys.version_info >= (3, 12) else ()
_WRAPPERS = ("if True:", "if switch:", "try:", "for _ in (1,):", "with context:", "while True:")

PRELUDE = '''
import contextlib, functools
switch = True
context = contextlib.nullcontext()
def plain(function): return function
def wrapping(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs): return function(*args, **kwargs)
    return wrapper
def made(value):
    def decorator(function):
        return function
    return decorator
def drive(value):
    """Run a coroutine or a generator to its end."""
    if hasattr(value, "__anext__"):
        value = value.__anext__()
    if hasattr(value, "send"):
        try:
            while True: value.send(None)
        except (StopIteration, StopAsyncIteration):
            pass
def call(thing):
    """Call a function, or all functions of a class."""
    if isinstance(thing, type):
        for value in list(vars(thing).values()):
            if callable(value): call(value)
    else:
        with contextlib.suppress(Exception):
            drive(thing())
'''


def programs() -> st.SearchStrategy[str]:
    """A module's source: the prelude, then statements."""
    return st.lists(_statements(), min_size=1, max_size=5).map(lambda statements: PRELUDE + "".join(statements))


def _statements() -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(_LEAVES).filter(lambda leaf: "return" not in leaf).map(_line), _compound, max_leaves=12
    )


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map("".join)
    return st.one_of(_functions(body), _one_liners(), _classes(body), _properties(body), _blocks(body))


@st.composite
def _functions(draw: st.DrawFn, body: st.SearchStrategy[str]) -> str:
    name = draw(st.sampled_from(NAMES))
    decorator = draw(st.sampled_from(("", *_DECORATORS)))
    keyword = draw(st.sampled_from(("def", "async def")))
    generic = draw(st.sampled_from(("", *_GENERIC)))
    yields = draw(st.sampled_from(("", "yield 1\n")))
    text = draw(body) + yields
    parameters = draw(st.sampled_from(_PARAMETERS))
    header = f"{_line(decorator)}{keyword} {name}{generic}({parameters}):\n"
    return f"{header}{indent(text, '    ')}call({name})\n"


@st.composite
def _one_liners(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(NAMES))
    generic = draw(st.sampled_from(("", *_GENERIC)))
    body = draw(st.sampled_from(("return 1", "pass", "...", "x = lambda: 1; return x", "'doc'", "yield")))
    return f"def {name}{generic}({draw(st.sampled_from(_PARAMETERS))}): {body}\ncall({name})\n"


@st.composite
def _classes(draw: st.DrawFn, body: st.SearchStrategy[str]) -> str:
    decorator = draw(st.sampled_from(("", "@plain")))
    generic = draw(st.sampled_from(("", *_GENERIC[:1])))
    return f"{_line(decorator)}class C{generic}:\n{indent(draw(body), '    ')}call(C)\n"


@st.composite
def _properties(draw: st.DrawFn, body: st.SearchStrategy[str]) -> str:
    getter, setter = indent(draw(body), "        "), indent(draw(body), "        ")
    return (
        f"class P:\n    @property\n    def value(self):\n{getter}"
        f"    @value.setter\n    def value(self, value):\n{setter}"
        "P().value\nP().value = 1\n"
    )


@st.composite
def _blocks(draw: st.DrawFn, body: st.SearchStrategy[str]) -> str:
    head = draw(st.sampled_from(_WRAPPERS))
    tail = {"try:": "finally:\n    pass\n", "while True:": "    break\n"}.get(head, "")
    return f"{head}\n{indent(draw(body), '    ')}{tail}"


def _line(text: str) -> str:
    return f"{text}\n" if text else ""
