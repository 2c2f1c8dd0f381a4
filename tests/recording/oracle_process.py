"""The other side of :mod:`tests.recording.oracle`: a process with coverage.py and without this package.

Reads tasks from stdin and writes answers to stdout, one JSON object a line. A task names a folder, a module file in
it, and steps. The steps run one after the other, on one thread, each under the dynamic context that it names. Lines are
those that coverage.py's C tracer finds in branch mode. Functions are those that its entry arcs name and, for bodies
that were entered elsewhere and go on here, those that ``sys.setprofile`` saw called and whose arcs went on inside.
Where a body is resumed its line runs, though coverage.py counts it only when another line follows.

From 3.14 on coverage.py 7.17 takes a generator that does nothing about an exception thrown into it for one that returns
from the line of its ``yield``: that arc is left out, as there is none before 3.14.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from opcode import opname
from types import FrameType, ModuleType
from typing import Any

import coverage

Function = ast.FunctionDef | ast.AsyncFunctionDef
Arcs = list[tuple[int, int]]
Seen = set[tuple[str, str, int, int]]
Raised = set[tuple[str, int, int]]


def main() -> None:
    gc.disable()  # it would end generators that earlier steps have left, and their arcs would be another step's
    for line in sys.stdin:
        task = json.loads(line)
        answer = run_for_arcs(task) if "core" in task else run(task)
        assert not any(name.split(".")[0] == "otel_coverage" for name in sys.modules)
        print(json.dumps(answer), flush=True)
        gc.collect()


def run(task: dict[str, Any]) -> dict[str, object]:
    folder = task["folder"]
    cov = coverage.Coverage(
        data_file=None, config_file=False, branch=True, include=[os.path.join(folder, "*")], messages=False
    )
    cov.set_option("run:core", "ctrace")
    cov.set_option("run:disable_warnings", ["no-data-collected", "module-not-imported"])
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    called: dict[str, Seen] = {}
    raised: dict[str, Raised] = {}
    try:
        state = State(importlib.import_module(task["module"]))
        cov.start()
        for step in task["steps"]:
            seen = called.setdefault(step["context"], set())
            at_yields = raised.setdefault(step["context"], set())
            cov.switch_context(step["context"])
            sys.setprofile(Profile(folder, seen, at_yields, thrown=step["action"] in ("throw", "close")))
            state.take(step)
            sys.setprofile(None)
        cov.switch_context("")
        cov.stop()
        state.close()
    finally:
        sys.path.remove(folder)
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(folder):
                del sys.modules[name]
    data = cov.get_data()
    return {context: answer(data, context, folder, called[context], raised[context]) for context in called}


def run_for_arcs(task: dict[str, Any]) -> dict[str, object]:
    """The arcs of each context alone, with the core of coverage.py that the task names."""
    folder = task["folder"]
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    found: dict[str, dict[str, set[tuple[int, int]]]] = {}
    try:
        state = State(importlib.import_module(task["module"]))
        for step in task["steps"]:
            cov = coverage.Coverage(
                data_file=None, config_file=False, branch=True, include=[os.path.join(folder, "*")], messages=False
            )
            cov.set_option("run:core", task["core"])
            cov.set_option("run:disable_warnings", ["no-data-collected", "module-not-imported"])
            cov.start()
            state.take(step)
            cov.stop()
            data = cov.get_data()
            of_context = found.setdefault(step["context"], {})
            for filename in data.measured_files():
                of_context.setdefault(os.path.relpath(filename, folder), set()).update(data.arcs(filename) or ())
        state.close()
    finally:
        sys.path.remove(folder)
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(folder):
                del sys.modules[name]
    return {context: {path: sorted(arcs) for path, arcs in files.items()} for context, files in found.items()}


class Profile:
    """Notes which code of the folder is called, where it goes on, and what an exception thrown in ends at once."""

    def __init__(self, folder: str, seen: Seen, raised: Raised, *, thrown: bool) -> None:
        self.folder = folder
        self.seen = seen
        self.raised = raised
        self.thrown = thrown

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(self.folder):
            resumed = not self.thrown and opname[code.co_code[frame.f_lasti]] == "RESUME"
            starts = code.co_code[frame.f_lasti + 1] & 3 == 0
            line = frame.f_lineno if resumed and not starts else 0
            self.seen.add((code.co_filename, code.co_name, code.co_firstlineno, line))
        elif event == "return" and sys.version_info >= (3, 14) and opname[code.co_code[frame.f_lasti]] == "RESUME":
            # It got no further than where it goes on. Before 3.14 whatever yields stands here too.
            self.raised.add((code.co_filename, frame.f_lineno, -code.co_firstlineno))


class State:
    """A program under way: its module, and what steps leave for later steps, by slot."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.slots: dict[int, Any] = {}

    def take(self, step: dict[str, Any]) -> None:
        """Take one step, as :class:`tests.recording.oracle.Step` describes it, whatever it raises."""
        action, slot = step["action"], step["slot"]
        if action == "make":
            self.slots[slot] = getattr(self.module, step["function"])(*step["arguments"])
            return
        actions: dict[str, Callable[[], object]] = {
            "call": lambda: getattr(self.module, step["function"])(*step["arguments"]),
            "run": lambda: asyncio.run(getattr(self.module, step["function"])(*step["arguments"])),
            "send": lambda: self.slots[slot].send(None),
            "throw": lambda: self.slots[slot].throw(KeyError("thrown")),
            "close": lambda: self.slots[slot].close(),
        }
        with suppress(Exception):
            actions[action]()

    def close(self) -> None:
        """Finish whatever is suspended."""
        for running in self.slots.values():
            with suppress(Exception):
                running.close()


def answer(data: coverage.CoverageData, context: str, folder: str, called: Seen, raised: Raised) -> dict[str, object]:
    data.set_query_context(context)
    functions: list[tuple[str, str, int]] = []
    lines: dict[str, list[int]] = {}
    for filename in data.measured_files():
        arcs: Arcs = [arc for arc in data.arcs(filename) or [] if (filename, *arc) not in raised]
        path = os.path.relpath(filename, folder)
        went_on = {line for seen, _name, _first, line in called if seen == filename}
        numbers = sorted({number for arc in arcs for number in arc if number > 0} | went_on - {0})
        if numbers:
            lines[path] = numbers
        resumed = {(name, first) for seen, name, first, line in called if seen == filename and line}
        thrown = {(name, first) for seen, name, first, line in called if seen == filename and not line}
        with open(filename, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for node, qualname, first in definitions(tree.body):
            name = (node.name, first)
            if is_entered(node, first, arcs) or name in resumed or (name in thrown and is_resumed(node, first, arcs)):
                functions.append((path, qualname, first))
    return {"functions": sorted(functions), "lines": lines}


def is_entered(node: Function, first: int, arcs: Arcs) -> bool:
    """Whether an entry arc goes to the function's own body: a lambda in its decorator may start on the same line."""
    only_doc = len(node.body) == 1 and ast.get_docstring(node) is not None  # then all there is stands on the def line
    inside = range((node if only_doc else node.body[0]).lineno, (node.end_lineno or 0) + 1)
    return any(-before == first and after in inside for before, after in arcs)


def is_resumed(node: Function, first: int, arcs: Arcs) -> bool:
    """Whether the body went on from one of its lines; ``close()`` calls a generator without any of it running."""
    inside = range(node.lineno, (node.end_lineno or 0) + 1)
    return any(before in inside and (after in inside or after == -first) for before, after in arcs)


def definitions(nodes: Iterable[ast.AST], prefix: str = "") -> Iterator[tuple[Function, str, int]]:
    """Each ``def`` of a file: node, qualified name, first line with its decorators."""
    for node in nodes:
        if isinstance(node, Function):
            yield node, prefix + node.name, min([node.lineno, *(item.lineno for item in node.decorator_list)])
            yield from definitions(node.body, f"{prefix}{node.name}.<locals>.")
        elif isinstance(node, ast.ClassDef):
            yield from definitions(node.body, f"{prefix}{node.name}.")
        else:
            yield from definitions(ast.iter_child_nodes(node), prefix)


if __name__ == "__main__":
    main()
