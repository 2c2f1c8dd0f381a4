"""Proof that the recorder's tests bite: each rule taken out of the recorder has to make them fail.

``python -m tests.recording.mutations`` copies the package and the tests, takes out one rule at a time, runs the tests
of ``tests/recording`` on the copy, and says which rules no test misses. ``--list`` names the rules; names given as
arguments choose some.

The source marks the lines of each rule by a comment, ``# rule: NAME`` in Python and ``/* rule: NAME */`` in C: at the
end of the line, or on a line of its own before it. ``NAME/PART`` marks lines that an operation needs besides. Here is,
for each rule, the operation that takes it out; it knows nothing of the names in the source.
"""

from __future__ import annotations

import argparse
import ast
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECORDING = Path("otel_coverage", "recording")
_MARKER = re.compile(r"\s*(?:#|/\*) rule: ([\w/, -]+?)(?: \*/)?$")
_LET_OTHERS_IN = "__import__('collections').deque(map(id, range(100)), maxlen=0)"
_DISABLE_IN_C = 'PyObject_GetAttrString(PySys_GetObject("monitoring"), "DISABLE")'


class Source:
    """The lines of a file, without the markers.

    Attributes:
        path: the file.
        lines: its lines.
        marks: the numbers of the lines that each ``NAME`` or ``NAME/PART`` marks, from 0.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self.marks: dict[str, list[int]] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            found = _MARKER.search(line)
            for name in found[1].split(", ") if found else ():
                self.marks.setdefault(name, []).append(len(self.lines))
            text = line[: found.start()] if found else line
            if text or not found:  # the marker on a line of its own stands for the next one
                self.lines.append(text)

    @property
    def is_c(self) -> bool:
        """Whether it is C, and not Python."""
        return self.path.suffix == ".c"

    def statement(self, number: int) -> range:
        """The numbers of the lines of the innermost statement of Python that holds the line."""
        found = range(len(self.lines))
        for node in ast.walk(ast.parse("\n".join(self.lines))):
            if isinstance(node, ast.stmt) and node.lineno - 1 <= number < (node.end_lineno or 0):
                lines = range(node.lineno - 1, node.end_lineno or 0)
                found = lines if len(lines) <= len(found) else found
        return found

    def function(self, number: int) -> ast.FunctionDef:
        """The innermost function of Python that holds the line."""
        functions = [
            node
            for node in ast.walk(ast.parse("\n".join(self.lines)))
            if isinstance(node, ast.FunctionDef) and node.lineno - 1 <= number < (node.end_lineno or 0)
        ]
        return max(functions, key=lambda node: node.lineno)

    def last_parameter(self, number: int) -> str:
        """The name of the last parameter of the function that holds the line."""
        for line in reversed(self.lines[: number + 1]):
            found = re.search(r"(\w+)\) \{$" if self.is_c else r"(\w+)(?:: \w+)?\) -> [\w ]+:$", line)
            if found and ((self.is_c and not line.startswith(" ")) or line.lstrip().startswith("def ")):
                return found[1]
        raise AssertionError(f"{self.path.name}:{number + 1} is in no function")

    def indent(self, number: int) -> str:
        """The white space that the line begins with."""
        return self.lines[number][: len(self.lines[number]) - len(self.lines[number].lstrip())]

    def text(self, numbers: range, indent: str) -> list[str]:
        """The lines, indented otherwise."""
        own = self.indent(numbers[0])
        return [indent + self.lines[number].removeprefix(own) for number in numbers]


Operation = Callable[[Source, str], None]
"""Takes the rule of that name out of the source."""


def drop(source: Source, rule: str) -> None:
    """The marked statements do nothing."""
    for number in source.marks[rule]:
        source.lines[number] = source.indent(number) + (";" if source.is_c else "pass")


def each(pattern: str, replacement: str | Callable[[re.Match[str], str], str]) -> Operation:
    """The first match of the pattern in each marked line is replaced."""

    def operate(source: Source, rule: str) -> None:
        for number in source.marks[rule]:

            def replaced(match: re.Match[str], number: int = number) -> str:
                if not isinstance(replacement, str):
                    return replacement(match, source.last_parameter(number))
                return match.expand(replacement)

            source.lines[number], count = re.subn(pattern, replaced, source.lines[number], count=1)
            assert count == 1, f"{rule}: {pattern!r} does not match {source.lines[number]!r}"

    return operate


def condition(value: str) -> Operation:
    """The condition of the marked statement, expression or comprehension has that value, ``0`` or ``1``."""
    return each(
        r"(?P<before>\b(?:if|while) \(?|return )(?P<condition>.+?)(?P<after>\) \{$|:$| else |\]\)$| \? )",
        rf"\g<before>{value}\g<after>",
    )


def value(text: str) -> Operation:
    """The marked line assigns or returns something else."""
    return each(
        r"(?P<before>(?<![=!<>])=(?!=) |\breturn )(?P<value>.+?)(?P<after>;?$)",
        lambda match, last: match["before"] + text.format(match["value"], last=last) + match["after"],
    )


def without_operand(number: int) -> Operation:
    """The condition or value of the marked line lacks an operand of ``and``, ``or``, ``&`` or ``|``; 0 is the first."""

    def shorter(match: re.Match[str], _last: str) -> str:
        operands = re.split(r"( and | or | && | \|\| | & | \| )", match["value"])
        del operands[max(0, 2 * number - 1) :][:2]
        first = max(0, 2 * number - 1)
        return match["before"] + "".join(operands[:first] + operands[first + 2 :]) + match["after"]

    return each(
        r"(?P<before>\b(?:if|while) \(?|(?<![=!<>])=(?!=) |\breturn )(?P<value>.+?)(?P<after>\) \{$|:$|;$|$)", shorter
    )


def otherwise(text: str) -> Operation:
    """Where the condition of the marked ``if`` is false, what its block assigns last is something else."""

    def operate(source: Source, rule: str) -> None:
        (number,) = source.marks[rule]
        end = source.statement(number).stop
        target = source.lines[end - 1].split("=")[0].strip()
        indent = source.indent(number)
        source.lines[end:end] = [f"{indent}else:", f"{indent}    {target} = {text}"]

    return operate


def copy(source: Source, rule: str) -> None:
    """The marked statement is the same as the other part."""
    (number,), (other,) = source.marks[rule], source.marks[f"{rule}/left"]
    source.lines[number] = source.lines[other]


def move(part: str, let_others_in: bool = False) -> Operation:
    """The statement of that part comes after the marked one, or before it if it came after."""

    def operate(source: Source, rule: str) -> None:
        (number,), (other,) = source.marks[rule], source.marks[f"{rule}/{part}"]
        moved, marked = source.statement(other), source.statement(number)
        text = source.text(moved, source.indent(number))
        if let_others_in:
            text.append(source.indent(number) + _LET_OTHERS_IN)
        at = marked.stop if moved.stop <= marked.start else marked.start
        lines = [[line] for line in source.lines]
        for line in moved:
            lines[line] = []
        if not source.lines[moved.start - 1].endswith((",", "(")):
            lines[moved.start] = [source.indent(moved.start) + "pass"]
        lines.insert(at, text)
        source.lines[:] = [line for group in lines for line in group]

    return operate


def enter_before_rearming(source: Source, rule: str) -> None:
    """The marked loop is one of a single turn, in which the statements from one part to another come first."""
    (number,), (first,), (last,) = (source.marks[name] for name in (rule, f"{rule}/from", f"{rule}/to"))
    indent = source.indent(number) + "    "
    source.lines[number] = source.lines[number].replace("while ", "if ")
    entering = source.text(range(first, source.statement(last).stop), indent)
    source.lines[number + 1 : number + 1] = [*entering, indent + _LET_OTHERS_IN]


def call_without(other: str) -> Operation:
    """The marked line calls a copy of the function, from which another rule was taken out."""

    def operate(source: Source, rule: str) -> None:
        (number,), (removed,) = source.marks[rule], source.marks[other]
        function = source.function(removed)
        lines = range(function.lineno - 1, function.end_lineno or 0)
        text = source.lines[lines.start : lines.stop]
        text[0] = text[0].replace(f"def {function.name}(", f"def {function.name}_without(")
        looped = text[removed - lines.start]
        text[removed - lines.start] = looped[: looped.index("while ")] + "while False:"
        source.lines[number] = source.lines[number].replace(f".{function.name}(", f".{function.name}_without(")
        source.lines[lines.stop : lines.stop] = ["", *text]

    return operate


def before_its_statement(source: Source, rule: str) -> None:
    """The marked call, one of several that are made at once, is made before them."""
    (number,) = source.marks[rule]
    statement = source.statement(number)
    call = source.lines[number].strip().rstrip(",")
    indent = source.indent(statement.start)
    del source.lines[number]
    source.lines[statement.start : statement.start] = [
        f"{indent}(lambda function, *arguments: function(*arguments))(*{call})",
        indent + _LET_OTHERS_IN,
    ]


def only_for_lines(source: Source, rule: str) -> None:
    """The marked statement runs only for numbers above zero."""
    (number,) = source.marks[rule]
    text, last = source.lines[number], source.last_parameter(number)
    indent = source.indent(number)
    source.lines[number] = f"{indent}if ({last} > 0){'' if source.is_c else ':'} {text.strip()}"


def always_disable(source: Source, rule: str) -> None:
    """The marked line answers DISABLE whatever it would answer."""
    (number,) = source.marks[rule]
    indent = source.indent(number)
    answer = source.lines[number].strip().removeprefix("return ").rstrip(";")
    source.lines[number] = (
        f"{indent}Py_XDECREF({answer}); return {_DISABLE_IN_C};"
        if source.is_c
        else f"{indent}{answer}; return sys.monitoring.DISABLE"
    )


@dataclass(frozen=True)
class Mutation:
    """A rule, and how to take it out of the source.

    Attributes:
        rule: its name; the file is the one that has it.
        operation: takes it out.
        in_c: whether it is the rule of the callbacks in C.
        since: the first CPython on which the rule does anything.
        two_tools: whether to leave out the tests of a single tool, which notice more.
    """

    rule: str
    operation: Operation
    in_c: bool = False
    since: tuple[int, int] = (3, 12)
    two_tools: bool = False

    @property
    def name(self) -> str:
        """The rule's name, in C with a prefix."""
        return f"c:{self.rule}" if self.in_c else self.rule

    def apply(self, root: Path) -> Path:
        """Take the rule out of the copy at ``root`` and return the file that held it."""
        (source,) = (source for source in sources(root) if source.is_c is self.in_c and self.rule in source.marks)
        self.operation(source, self.rule)
        source.path.write_text("\n".join(source.lines) + "\n", encoding="utf-8")
        return source.path


def sources(root: Path) -> Iterator[Source]:
    """The files of the recorder below ``root``."""
    for path in sorted((root / RECORDING).rglob("*")):
        if path.suffix in (".py", ".c"):
            yield Source(path)


_STARTS, _RESUMPTIONS = "({}) & ~sys.monitoring.events.PY_START", "({}) & ~sys.monitoring.events.PY_RESUME"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation("rearm-on-entry", condition("0")),
    Mutation("disabled-line-is-dirty", drop),
    Mutation(
        "rearming-is-one-step",
        each(r"\bcall\b", rf"(lambda function, *arguments: ({_LET_OTHERS_IN}, function(*arguments)))"),
    ),
    Mutation("rearm-before-entry", enter_before_rearming),
    Mutation("epoch-ends-with-restart", before_its_statement),
    Mutation("begin-rearms", drop),
    Mutation("active-before-rearm", move("activate")),
    Mutation("start-needs-all-active", condition("0")),
    Mutation("start-needs-its-line", drop),
    Mutation("line-needs-all-active", condition("0")),
    Mutation("lines-need-entry", without_operand(1)),
    Mutation("discovery-is-entry", drop),
    Mutation("discovery-rearms", call_without("rearm-on-entry")),
    Mutation("armed-before-known", move("known", let_others_in=True)),
    Mutation("one-line-body-runs-its-line", value("0")),
    Mutation("resuming-runs-its-line", otherwise("0")),
    Mutation("uncaught-throw-runs-nothing", condition("1")),
    Mutation("cleanup-runs-nothing", condition("1")),
    Mutation("local-starts", value(_STARTS)),
    Mutation("local-resumptions", value(_RESUMPTIONS)),
    Mutation("starts-discover", value(_STARTS), two_tools=True),
    Mutation("resumptions-discover", value(_RESUMPTIONS), two_tools=True),
    Mutation("throws-resume", value("({}) & ~sys.monitoring.events.PY_THROW")),
    Mutation("compiled-code-is-ignored", without_operand(1)),
    Mutation("end-clears-lines", without_operand(1)),
    Mutation("end-clears-entered", drop),
    Mutation("forked-child-starts-empty", drop),
    Mutation("freed-code-is-forgotten", drop),
    # rules of branches only; these are recorded and disabled by the rules for lines
    Mutation("edges-are-local-events", value("0"), since=(3, 14)),
    Mutation("left-is-not-right", copy, since=(3, 14)),
    Mutation("returns-are-edges", value("sys.monitoring.DISABLE"), since=(3, 14)),
    Mutation("edge-needs-all-active", always_disable, since=(3, 14)),
    Mutation("disabled-edge-is-dirty", only_for_lines, since=(3, 14)),
    Mutation("edges-are-no-lines", condition("1"), since=(3, 14)),
    Mutation("chain-ends-at-branch", condition("0"), since=(3, 14)),
    Mutation("chain-ends-at-reraise", condition("0"), since=(3, 14)),
    Mutation("chain-ends-with-code", condition("0"), since=(3, 14)),
    Mutation("chain-follows-jumps", drop, since=(3, 14)),
    Mutation("long-jumps", without_operand(0), since=(3, 14)),
    Mutation("definitions-fall-through", value("()"), since=(3, 14)),
    Mutation("fall-through-reaches-next-line", without_operand(1), since=(3, 14)),
    # the same rules in C; the differential test, which would notice each, is left out of the proof
    Mutation("rearm-on-entry", condition("0"), in_c=True),
    Mutation("disabled-line-is-dirty", drop, in_c=True),
    Mutation("start-needs-all-active", condition("0"), in_c=True),
    Mutation("start-needs-its-line", without_operand(1), in_c=True),
    Mutation("line-needs-all-active", condition("0"), in_c=True),
    Mutation("lines-need-entry", without_operand(1), in_c=True),
    Mutation("begin-rearms", condition("0"), in_c=True),
    Mutation("one-line-body-runs-its-line", value("0"), in_c=True),
    Mutation("end-clears-lines", drop, in_c=True),
    Mutation("ended-slot-records-nothing", condition("1"), in_c=True),
    Mutation("other-mapping-is-read", without_operand(1), in_c=True),
    Mutation("enabled-start-runs-its-line", drop, in_c=True),
    Mutation("compiled-code-is-ignored", without_operand(1), in_c=True),
    Mutation("masks-widen", value("*{last} = 0"), in_c=True),
    Mutation("wider-masks-keep-bits", drop, in_c=True),
    Mutation("freed-code-is-forgotten", value("NULL"), in_c=True),
    Mutation("ended-slot-releases-code", drop, in_c=True),
    Mutation("keys-name-code", drop, in_c=True),
    Mutation("keys-have-lines", drop, in_c=True),
    Mutation("left-is-not-right", copy, in_c=True, since=(3, 14)),
    Mutation("edge-needs-all-active", always_disable, in_c=True, since=(3, 14)),
    Mutation("disabled-edge-is-dirty", only_for_lines, in_c=True, since=(3, 14)),
    Mutation("branches-have-rows", drop, in_c=True, since=(3, 14)),
    Mutation("returns-have-rows", drop, in_c=True, since=(3, 14)),
)

# These notice from the text of the source, or from what is built, that something was taken out: that proves nothing.
_LEFT_OUT = ("test_mutations.py", "test_c_build.py", "test_backends_agree.py")

# Quick tests that notice most rules.
_FIRST = ("test_begun_inside.py", "test_resumed_code.py", "test_sequential.py", "test_forks.py")


def survives(mutation: Mutation | None) -> bool:
    """Whether the tests pass without the rule."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")  # for a rule in Python, no C is built
        for name in ("otel_coverage", "tests", "queries", "examples"):
            shutil.copytree(ROOT / name, root / name, ignore=ignore)
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, root)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:ddtrace"]
        command += [f"--ignore=tests/recording/{name}" for name in _LEFT_OUT]
        if mutation is not None:
            mutation.apply(root)
        if mutation is None or mutation.in_c:
            build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
            subprocess.run(build, cwd=root, capture_output=True, check=True)
            assert list((root / RECORDING).glob("_callbacks.*[!i]")), "the callbacks in C were not built"
        if mutation is not None and mutation.in_c:
            command += ["-k", "not python"]
        elif mutation is not None and mutation.two_tools:
            command += ["-k", "not single_tool"]
        for tests in ([f"tests/recording/{name}" for name in _FIRST], ["tests/recording"]):
            done = subprocess.run([*command, *tests], cwd=root, capture_output=True, text=True, check=False)
            if done.returncode not in (0, 1) and done.returncode > 0:  # a rule in C may end the process
                name = "nothing taken out" if mutation is None else mutation.name
                raise SystemExit(f"{name}: pytest ended with {done.returncode}\n{done.stdout}{done.stderr}")
            if done.returncode != 0:
                return False
        return True


def main() -> None:
    """Run the mutations named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rules to take out; all by default")
    parser.add_argument("--list", action="store_true", help="only name the rules")
    options = parser.parse_args()
    unknown = set(options.names) - {mutation.name for mutation in MUTATIONS}
    if unknown:
        parser.error(f"no such rule: {', '.join(sorted(unknown))}; --list names them")
    chosen = [mutation for mutation in MUTATIONS if not options.names or mutation.name in options.names]
    chosen = [mutation for mutation in chosen if sys.version_info >= mutation.since]
    survivors = []
    if not options.list and not survives(None):
        raise SystemExit("the tests fail with every rule in place")
    for mutation in chosen:
        if options.list:
            print(mutation.name)
        elif survives(mutation):
            survivors.append(mutation.name)
            print(f"NOT MISSED  {mutation.name}", flush=True)
        else:
            print(f"missed      {mutation.name}", flush=True)
    if survivors:
        raise SystemExit(f"{len(survivors)} of {len(chosen)} rules could be taken out unnoticed")


if __name__ == "__main__":
    main()
