"""Programs drawn at random, and what is done with them."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent
from typing import Literal

from hypothesis import strategies as st

from tests.recording.oracle import Step

Shape = Literal["function", "generator", "coroutine"]

PRELUDE = """
import contextlib
import functools
import types


def passing(function):
    @functools.wraps(function)
    def wrapper(*arguments): return function(*arguments)
    return wrapper


def keeping(*defaults):
    def decorate(function):
        return function
    return decorate


@types.coroutine
def pause(): yield


def drive(coroutine):
    while True:
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value


@contextlib.contextmanager
def around(n):
    yield n
"""

# {0} and {1} call functions defined earlier; {name} is the function's own name.
FUNCTIONS = (
    """
def {name}(n):
    found = {0}
    if n % 2:
        found = {1}
    else:
        found = n
    return found
""",
    "def {name}(n): return {0} if n % 2 else {1}",
    "{name} = lambda n: {0} if n > 1 else n",
    """
{name} = (
    lambda n:
    {0}
    if n
    else n
)
""",
    """
def {name}(n):
    def inner(): return {0}
    def other():
        return {1}
    return inner() if n % 2 else other()
""",
    """
@passing
def {name}(n): return {0}
""",
    """
@passing
@keeping(lambda: 1,
         2)
def {name}(
    n,
    unused=(lambda: 3)(),
):
    "A doc."
    return {0}
""",
    """
def {name}(n):
    return sum(
        1
        for number in range(3)
        if number == n or {0}
    )
""",
    "def {name}(n): return [number for number in range(n) if {0}], (number for number in range({1} or 0))",
    """
def {name}(n):
    for number in range(n):
        if number == 1: continue
        {0}
    else:
        return {1}
""",
    """
def {name}(n):
    try:
        if n % 2:
            raise KeyError(n)
        {0}
    except KeyError as error: found = error
    finally:
        {1}
    return n
""",
    """
def {name}(n):
    with around(n) as found, contextlib.suppress(ZeroDivisionError):
        {0}
        return found / (n % 2)
    return {1}
""",
    """
class Class{name}:
    marked = [number for number in range(2)]
    @property
    def value(self): return self.n
    def __init__(self, n):
        self.n = n
    def __call__(self):
        n = self.n
        {0}
        return self.value
def {name}(n):
    return Class{name}(n)()
""",
    """
def {name}(n):
    while n > 1:
        n -= 1
        if {0} == 2: break
    match n:
        case 0: return {1}
        case _: return n
""",
    """
def {name}(n):
    return {name}(n - 1) if n > 0 else {0}
""",
    """
def {name}(n):
    return sorted(range(n), key=lambda number: -number), list(map(lambda number: {0}, range(n)))
""",
)
GENERATORS = (
    """
def {name}(n):
    {0}
    yield 1
    for number in range(n):
        yield {1}
""",
    "def {name}(n): yield {0}; yield {1}; yield n",
    """
def {name}(n):
    while n < 5:
        n += 1
        try:
            yield {0}
        except KeyError:
            {1}
            yield n
""",
    """
def {name}(n):
    got = (yield n,
           (yield {0}))
    return (yield got)
""",
    """
def {name}(n):
    try:
        yield {0}
        yield {1}
    finally:
        n = 0
""",
    "{name} = lambda n: (number for number in range(n + 2) if not {0} or number)",
)
COROUTINES = (
    """
async def {name}(n):
    await pause()
    found = {0}
    if n % 2:
        await pause()
        return {1}
    return found
""",
    "async def {name}(n): await pause(); return {0}",
    """
async def {name}(n):
    async def inner():
        await pause()
        return {0}
    try:
        return await inner()
    except KeyError:
        await pause()
    finally:
        {1}
""",
)
TEMPLATES: dict[Shape, tuple[str, ...]] = {
    "function": FUNCTIONS,
    "generator": GENERATORS,
    "coroutine": COROUTINES,
}


@dataclass(frozen=True)
class Program:
    """A module, and its functions by name with what calling them makes."""

    text: str
    functions: dict[str, Shape]

    def __repr__(self) -> str:
        return f"Program:\n{indent(self.text.removeprefix(PRELUDE), '    ')}"


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """A module of functions, generators and coroutines, each of which may call those before it."""
    functions: dict[str, Shape] = {}
    parts = [PRELUDE]
    for number in range(draw(st.integers(3, 8))):
        shape: Shape = draw(st.sampled_from(("function", "function", "generator", "coroutine")))
        template = draw(st.sampled_from(TEMPLATES[shape]))
        calls = [draw(_calls(functions, awaits=shape == "coroutine")) for _ in range(2)]
        name = f"f{number}"
        parts.append(template.strip().replace("{name}", name).format(*calls))
        functions[name] = shape
    return Program("\n\n".join(parts) + "\n", functions)


@st.composite
def _calls(draw: st.DrawFn, functions: dict[str, Shape], *, awaits: bool) -> str:
    """An expression that calls an earlier function, or none."""
    if not functions or draw(st.booleans()):
        return "n"
    name = draw(st.sampled_from(sorted(functions)[-3:]))
    argument = draw(st.sampled_from(("n", "1", "n % 3")))
    call = f"{name}({argument})"
    if functions[name] == "generator":
        return draw(st.sampled_from((f"list({call})", f"next({call})", f"len([*{call}])")))
    if functions[name] == "coroutine":
        return f"(await {call})" if awaits else f"drive({call})"
    return call


def requests(program: Program) -> st.SearchStrategy[list[tuple[str, int]]]:
    """Some calls of a program's functions that return by themselves."""
    names = sorted(name for name, shape in program.functions.items() if shape == "function")
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 3)), min_size=2, max_size=5, unique=True)


@st.composite
def interleavings(draw: st.DrawFn, program: Program) -> list[Step]:
    """Steps under some contexts in turns, with generators and coroutines that cross from one to another."""
    contexts = st.sampled_from(("", "a", "b", "c"))
    resumable = sorted(name for name, shape in program.functions.items() if shape != "function")
    callable_ = sorted(name for name, shape in program.functions.items() if shape == "function")
    steps: list[Step] = []
    slots = 0
    for _ in range(draw(st.integers(3, 20))):
        actions = (
            ["call"] * bool(callable_) + ["make"] * bool(resumable) + ["send", "send", "send", "throw"] * (slots > 0)
        )
        action = draw(st.sampled_from(actions))
        context = draw(contexts)
        if action in ("call", "make"):
            name = draw(st.sampled_from(callable_ if action == "call" else resumable))
            steps.append(Step(context, action, name, (draw(st.integers(0, 3)),), slots))
            slots += action == "make"
        else:
            steps.append(Step(context, action, slot=draw(st.integers(0, slots - 1))))
    return steps
