"""coverage.py's C tracer on one thread, which writes into the recording that was begun there last."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol, cast

from coverage.tracer import CFileDisposition, CTracer

from otel_coverage.source import SourceTree

Data = dict[str, set[int]]


class TraceTarget(Protocol):
    """What a tracer writes into.

    Attributes:
        data: packed arcs for each file name, as coverage.py's tracer keeps them.
    """

    data: Data


class Tracer(CTracer):
    """coverage.py's tracer; a subclass, to distinguish our trace functions from those of others."""


class Files:
    """Which files the tracers trace, as coverage.py's ``should_trace`` says it."""

    def __init__(self, source: SourceTree) -> None:
        self._source = source
        self.dispositions: dict[str, CFileDisposition] = {}

    def should_trace(self, filename: str, _frame: object) -> CFileDisposition:
        """Whether to trace the file; the tracer calls this once for each file name."""
        return _disposition(filename, self._source.locate(filename) is not None)


class ThreadTracer:
    """The recordings of one thread; the tracer writes into the innermost.

    A frame stays with the recording in which it was entered.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._thread = threading.get_ident()
        self._stack: list[TraceTarget] = []
        self._kept: list[Data] = []  # the tracer writes where frames on its stack began, for as long as they run
        self._tracer: Tracer | None = None

    @property
    def innermost(self) -> TraceTarget | None:
        """The recording that code entered now is written into."""
        return self._stack[-1] if self._stack else None

    def push(self, traced: TraceTarget) -> bool:
        """Trace this thread for a recording; False where another tool's trace function is set.

        A signal handler may push and remove its own between any two steps: the tracer runs while the stack has any.
        """
        trace = sys.gettrace()
        if trace is not None and not isinstance(trace, Tracer):
            return False
        self._stack.append(traced)
        self._kept.append(traced.data)
        tracer = self._tracer
        if tracer is None:
            tracer = self._tracer = _new_tracer(self._files.should_trace, self._files.dispositions, traced.data)
        tracer.data = cast(Any, self._stack[-1].data)
        if cast(object, sys.gettrace()) is not tracer:
            tracer.start()
            if cast(object, sys.gettrace()) is not tracer:  # a signal came while the interpreter was installing it
                self.remove(traced)
                return False
        return True

    def remove(self, traced: TraceTarget) -> bool:
        """Stop tracing for a recording, from any thread; False where our trace function had been replaced."""
        tracer = self._tracer
        if traced not in self._stack or tracer is None:
            return True
        here = threading.get_ident() == self._thread
        undisturbed = not here or cast(object, sys.gettrace()) is tracer
        self._stack.remove(traced)
        if self._stack:
            tracer.data = cast(Any, self._stack[-1].data)
        else:
            self._tracer = None
            self._kept = []
            tracer.stop()
            if here and undisturbed:
                sys.settrace(None)  # another thread's uninstalls itself at its next event
        return undisturbed


def unpack(data: Data) -> list[tuple[str, set[tuple[int, int]]]]:
    """The arcs of each file, while tracers on other threads may go on writing."""
    copies = [(filename, arcs.copy()) for filename, arcs in list(data.items())]  # each copied by one C call
    if not copies:
        return []
    width = _width()
    mask = (1 << width) - 1
    return [
        (filename, {_signed(arc & mask, arc >> width & mask, arc >> 2 * width) for arc in arcs})
        for filename, arcs in copies
    ]


def _signed(before: int, after: int, signs: int) -> tuple[int, int]:
    return (-before if signs & 1 else before, -after if signs & 2 else after)


@functools.cache
def _width() -> int:
    """How many bits the tracer gives to each line number of an arc: 20 or 28, by the version of coverage.py.

    Found from the arc that enters a function: the only one here that has a sign, which is its highest bit.
    """
    data: Data = {}

    def entered() -> None:
        pass

    def probe() -> None:
        tracer = _new_tracer(lambda filename, _frame: _disposition(filename, True), {}, data)
        tracer.start()
        entered()
        tracer.stop()
        sys.settrace(None)

    thread = threading.Thread(target=probe)
    thread.start()
    thread.join()
    return (max(arc for arcs in data.values() for arc in arcs).bit_length() - 1) // 2


def _disposition(filename: str, trace: bool) -> CFileDisposition:
    disposition = CFileDisposition()
    disposition.original_filename = disposition.canonical_filename = disposition.source_filename = filename
    disposition.trace = trace
    disposition.reason = ""
    disposition.file_tracer = None
    disposition.has_dynamic_filename = False
    return disposition


def _new_tracer(
    should_trace: Callable[[str, object], CFileDisposition], cache: dict[str, CFileDisposition], data: Data
) -> Tracer:
    tracer = Tracer()
    tracer.trace_arcs = True
    tracer.data = cast(Any, data)
    tracer.should_trace = should_trace
    tracer.should_trace_cache = cache
    tracer.lock_data = tracer.unlock_data = bool  # called without arguments; the interpreter's lock is enough
    tracer.file_tracers = {}
    tracer.should_start_context = tracer.switch_context = tracer.concur_id_func = None
    tracer.check_include = tracer.disable_plugin = tracer.warn = None
    return tracer
