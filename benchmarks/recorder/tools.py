"""The recorders that are compared, behind one interface: ours in each form, and other tools."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import coverage
from opentelemetry.context.context import Context

from otel_coverage.recording import CurrentRecording, Engine, open_engine, select_backend
from otel_coverage.recording.backend import PURE_PYTHON
from otel_coverage.settings import EngineChoice, Granularity
from otel_coverage.source import SourceTree

UNTRACED = ("ours, enabled, untraced", "public API, untraced")


class Tool:
    """One way to record.

    Attributes:
        name: as the table shows it.
        lines: whether it records lines; else functions.
        concurrent: whether it claims to keep concurrent requests apart.
        spares_others: whether code outside the folder that it records runs as if it were not there.
        every_round: whether it is measured in every round, since limits are set for it, and not only once.
    """

    name = ""
    lines = True
    concurrent = True
    spares_others = False
    every_round = False

    def start(self, folder: Path) -> None:
        """Switch on, before the source below ``folder`` is imported."""

    def plain(self, request: Callable[[], object]) -> None:
        """Run one request as it would run without the tool."""
        request()

    def record(self, request: Callable[[], object]) -> Any:
        """Run one traced request and return what the tool has recorded of it."""
        raise NotImplementedError

    def hits(self, recorded: Any) -> set[str] | set[int]:
        """Of a recorded request: names of functions, or numbers of lines, of the one file that it ran."""
        raise NotImplementedError

    def idle(self) -> Callable[[], None]:
        """Open a recording that nothing runs in; the answer closes it."""
        raise NotImplementedError

    def finish(self) -> None:
        """Switch off."""


class Plain(Tool):
    """Nothing at all."""

    name = "plain"
    spares_others = True

    def record(self, request: Callable[[], object]) -> Any:
        request()

    def idle(self) -> Callable[[], None]:
        return lambda: None


class Ours(Tool):
    """The recorder of this package, its recording found in a mapping as in production."""

    def __init__(
        self, name: str, granularity: Granularity, *, engine: EngineChoice = "monitoring", in_python: bool = False
    ) -> None:
        self.name = name
        self.lines = granularity == "line"
        self._granularity = granularity
        self._choice = engine
        self._in_python = in_python
        self.every_round = engine == "monitoring" and not in_python
        self.spares_others = engine == "monitoring"
        self._context: ContextVar[Context] = ContextVar("context")
        self._engine: Engine

    def start(self, folder: Path) -> None:
        if self._in_python:
            os.environ[PURE_PYTHON] = "1"
        current = CurrentRecording(self._context, "recording")
        self._engine = open_engine(self._choice, self._granularity, SourceTree([str(folder)]), current)

    def record(self, request: Callable[[], object]) -> Any:
        recording = self._engine.begin()
        token = self._context.set(Context({"recording": recording}))
        try:
            request()
        finally:
            self._context.reset(token)
            self._engine.end(recording)
        return recording.executed()

    def hits(self, recorded: Any) -> set[str] | set[int]:
        if self.lines:
            return {number for numbers in recorded.lines.values() for number in numbers}
        return {symbol.qualname for symbol in recorded.functions}

    def idle(self) -> Callable[[], None]:
        recording = self._engine.begin()
        return lambda: self._engine.end(recording)

    def finish(self) -> None:
        self._engine.close()


class OursUntraced(Ours):
    """The process is enabled and has served traced requests; this one is not traced."""

    def start(self, folder: Path) -> None:
        super().start(folder)
        self._warm = False

    def record(self, request: Callable[[], object]) -> Any:
        if not self._warm:
            self._warm = True
            super().record(request)
        request()


class CoverageProcess(Tool):
    """coverage.py, on for the whole process: one context at a time."""

    concurrent = False

    def __init__(self, core: str) -> None:
        self.name = f"coverage.py {core}, process"
        self._core = core

    def start(self, folder: Path) -> None:
        self._coverage = coverage.Coverage(data_file=None, source=[str(folder)], config_file=False)
        self._coverage.set_option("run:core", self._core)
        self._coverage.start()

    def record(self, request: Callable[[], object]) -> Any:
        request()

    def idle(self) -> Callable[[], None]:
        return lambda: None

    def finish(self) -> None:
        self._coverage.stop()


class CoverageRequest(Tool):
    """A new ``Coverage()`` for each request, as hand-written middleware does."""

    def __init__(self, core: str) -> None:
        self.name = f"Coverage() a request, {core}"
        self._core = core

    def start(self, folder: Path) -> None:
        self._folder = folder

    def record(self, request: Callable[[], object]) -> Any:
        one = coverage.Coverage(data_file=None, source=[str(self._folder)], config_file=False)
        one.set_option("run:core", self._core)
        one.start()
        try:
            request()
        finally:
            one.stop()
        return one.get_data()

    def hits(self, recorded: Any) -> set[str] | set[int]:
        return {number for file in recorded.measured_files() for number in recorded.lines(file) or ()}

    def idle(self) -> Callable[[], None]:
        raise NotImplementedError("a second Coverage() in the process ends the first")


class Ddtrace(Tool):
    """ddtrace's ``CollectInContext``, which Datadog's test impact analysis uses."""

    name = "ddtrace CollectInContext"
    spares_others = True

    def start(self, folder: Path) -> None:
        from ddtrace.internal.coverage.code import ModuleCodeCollector
        from ddtrace.internal.coverage.installer import install

        install(include_paths=[folder])
        self._collector = ModuleCodeCollector

    def record(self, request: Callable[[], object]) -> Any:
        with self._collector.CollectInContext() as collected:
            request()
            return {path: set(lines.to_sorted_list()) for path, lines in collected.get_covered_lines().items()}

    def hits(self, recorded: Any) -> set[str] | set[int]:
        return {number for numbers in recorded.values() for number in numbers}

    def idle(self) -> Callable[[], None]:
        entered, leave = threading.Event(), threading.Event()

        def wait() -> None:
            with self._collector.CollectInContext():
                entered.set()
                leave.wait()

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        entered.wait()
        return leave.set


def tools() -> Iterable[Tool]:
    """Every tool that can run on this interpreter, in the table's order."""
    from benchmarks.recorder.public_api import PublicApi

    yield Plain()
    yield PublicApi(UNTRACED[1], "line", is_traced=False)
    yield PublicApi("public API, functions", "function")
    yield PublicApi("public API, lines", "line")
    if sys.version_info >= (3, 12):
        yield OursUntraced(UNTRACED[0], "line")
        if select_backend().name == "c":
            yield Ours("ours in C, functions", "function")
            yield Ours("ours in C, lines", "line")
        yield Ours("ours in Python, functions", "function", in_python=True)
        yield Ours("ours in Python, lines", "line", in_python=True)
    yield Ours("ours, engine coverage", "line", engine="coverage")
    yield CoverageProcess("ctrace")
    yield CoverageRequest("ctrace")
    if sys.version_info >= (3, 12):
        yield CoverageProcess("sysmon")
        yield CoverageRequest("sysmon")
    try:
        import ddtrace  # noqa: F401
    except ImportError:
        return
    yield Ddtrace()
