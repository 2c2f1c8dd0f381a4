"""What coverage.py finds when steps of a program run alone, in a process without this package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from otel_coverage.recording import Arc, Executed

if TYPE_CHECKING:
    from typing_extensions import Self

Arcs = Mapping[str, frozenset[Arc]]
"""By path."""


@dataclass(frozen=True)
class Step:
    """One thing that a program does, under one context.

    Attributes:
        context: the dynamic context that it runs under; empty where it is untraced.
        action: ``call`` a function, ``run`` a coroutine function in a loop of its own, ``make`` a generator or
            coroutine and keep it in a slot, ``send`` to it, ``throw`` into it, or ``close`` it.
        function: its name in the program's module.
        arguments: for it.
        slot: where a generator or coroutine is kept.
    """

    context: str
    action: str = "call"
    function: str = ""
    arguments: tuple[int, ...] = ()
    slot: int = 0


@dataclass(frozen=True)
class Ran:
    """What ran, in terms that coverage.py and recordings share: (path, qualname, first line), and (path, line)."""

    functions: frozenset[tuple[str, str, int]] = frozenset()
    lines: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def of(cls, executed: Executed) -> Ran:
        """What a recording says that ran."""
        return cls(
            frozenset((_path(symbol.module), symbol.qualname, symbol.line) for symbol in executed.functions),
            frozenset((path, number) for path, numbers in executed.lines.items() for number in numbers),
        )

    def __or__(self, other: Ran) -> Ran:
        return Ran(self.functions | other.functions, self.lines | other.lines)

    def difference(self, expected: Ran) -> dict[str, object]:
        """What is missing here, and what is extra; empty where both are the same."""
        found = {
            "missing functions": expected.functions - self.functions,
            "extra functions": self.functions - expected.functions,
            "missing lines": expected.lines - self.lines,
            "extra lines": self.lines - expected.lines,
        }
        return {what: sorted(items) for what, items in found.items() if items}

    def without_lines(self) -> Ran:
        """Without lines, as at function granularity."""
        return Ran(self.functions)


class Oracle:
    """A process of coverage.py's own, which answers tasks for as long as it is open."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("oracle_process.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0 or error is not None

    def ask(self, folder: Path, module: str, steps: Iterable[Step]) -> Mapping[str, Ran]:
        """What ran under each context when the steps were taken one after the other."""
        answers = self._answers({"folder": str(folder), "module": module, "steps": [asdict(step) for step in steps]})
        return {
            context: Ran(
                frozenset((path, qualname, first) for path, qualname, first in answer["functions"]),
                frozenset((path, number) for path, numbers in answer["lines"].items() for number in numbers),
            )
            for context, answer in answers.items()
        }

    def ask_arcs(self, folder: Path, module: str, steps: Iterable[Step], core: str) -> Mapping[str, Arcs]:
        """The arcs that one core of coverage.py has of each context, its steps measured one by one."""
        task = {"folder": str(folder), "module": module, "steps": [asdict(step) for step in steps], "core": core}
        return {
            context: {path: frozenset((before, after) for before, after in arcs) for path, arcs in found.items()}
            for context, found in self._answers(task).items()
        }

    def _answers(self, task: Mapping[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process of coverage.py died; its traceback is on stderr"
        answers: dict[str, Any] = json.loads(line)
        return answers


def _path(module: str) -> str:
    return module.replace(".", "/") + ".py"
