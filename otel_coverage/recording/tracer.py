"""coverage.py's C tracer on one thread, which writes into the recording that is current where code is entered."""

from __future__ import annotations

import functools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import Context, ContextVar
from typing import Any, NamedTuple, cast

from coverage.tracer import CFileDisposition, CTracer

from otel_coverage.loaded import loaded
from otel_coverage.recording.event_loops import running_loop
from otel_coverage.source import SourceTree

Data = dict[str, set[int]]


class Tracer(CTracer):
    """coverage.py's tracer; a subclass, to distinguish our trace functions from those of others.

    Attributes:
        on_return: called when the application has put it back after another trace function, or none, was in its place.
        thread: on which it traces.
        is_on: whether it does.
    """

    on_return: Callable[[], None]
    thread: int
    is_on: bool = False

    def __call__(self, *arguments: Any) -> Any:
        """The interpreter calls this after ``sys.settrace(tracer)`` alone: :meth:`start` installs a C function.

        Where the trace function is another tool's, it is called for a frame that we traced and that goes on.
        """
        is_global = len(arguments) > 1 and arguments[1] == "call"
        if not is_global and not (self.is_on and self.thread == threading.get_ident()):
            return None
        self.on_return()
        return super().__call__(*arguments)  # type: ignore[misc]  # its stub lacks it


class Files:
    """Which files the tracers trace, as coverage.py's ``should_trace`` says it, and whether these are as they were."""

    def __init__(self, source: SourceTree) -> None:
        self._source = source
        self._stamps: dict[str, _Stamp] = {}
        self.dispositions: dict[str, CFileDisposition] = {}

    def should_trace(self, filename: str, _frame: object) -> CFileDisposition:
        """Whether to trace the file; the tracer calls this once for each file name."""
        file = self._source.locate(filename)
        if file is not None:
            self._stamps[filename] = _stamp_of(file.filename)
        return _disposition(filename, file is not None)

    def changed(self, filenames: Iterable[str]) -> str | None:
        """The first of these files that is another than when it was first traced; None where none is."""
        for filename in filenames:
            stamp = self._stamps.get(filename)
            if stamp is not None and stamp != _stamp_of(stamp.path):
                return filename
        return None


class _Stamp(NamedTuple):
    """What distinguishes a file from what it was before; all 0 where there is none."""

    path: str
    device: int = 0
    inode: int = 0
    size: int = 0
    modified: int = 0


def _stamp_of(path: str) -> _Stamp:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return _Stamp(path)
    return _Stamp(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class ThreadTracer:
    """Traces one thread while any recording asks for it.

    What it traces is written into the recording that is current when a frame is entered or resumed, whether that one
    asked for it or not: so code of several contexts may take turns on the thread. A frame stays with its recording
    until it returns or waits.

    Args:
        files: what to trace.
        variable: holds the same value as long as the same recording is current.
        data_of_current: returns where the current recording is written.
        on_replaced: called with each recording during which our trace function was not set, though it should have been.
    """

    def __init__(
        self,
        files: Files,
        variable: ContextVar[Any],
        data_of_current: Callable[[], Data],
        on_replaced: Callable[[Any], None],
    ) -> None:
        self._files = files
        self._variable = variable
        self._data_of_current = data_of_current
        self._on_replaced = on_replaced
        self._thread = threading.get_ident()
        self._stack: list[object] = []
        self._tracer: Tracer | None = None
        self._of_run: Tracer | None = None  # one that `run` has put on, and puts off, whatever ends meanwhile
        self._spare: Tracer | None = None  # one that is off, and inside of no frame

    def push(self, recording: object, *, step: bool = False) -> bool:
        """Trace this thread for a recording; False where another tool's trace function is set.

        With ``step`` :meth:`run` comes next.

        A signal handler may push and remove its own between any two steps: the tracer runs while the stack has any.
        """
        trace = sys.gettrace()
        if self._stack and trace is not self._tracer:
            self._was_replaced()
        if trace is not None and not isinstance(trace, Tracer):
            return False
        self._stack.append(recording)
        tracer = self._tracer
        if tracer is None:
            made: Tracer | None = None
            if step:
                made, self._spare = self._spare, None
            greenlet = _greenlet()
            if made is None or (made.concur_id_func is None and greenlet is not None):
                made = self._new_tracer()
                made.concur_id_func = None if greenlet is None else greenlet.getcurrent
            # A signal handler may have put one on meanwhile, which goes on for us. Were it replaced, it would be freed
            # while the interpreter installs the other, and coverage.py would uninstall that. From here to the
            # assignment nothing is called, so no handler runs.
            tracer = self._tracer
            if tracer is None:
                self._tracer = tracer = made
        if cast(object, sys.gettrace()) is not tracer:
            tracer.is_on = True
            tracer.start()
            if cast(object, sys.gettrace()) is not tracer:  # a signal came while the interpreter was installing it
                self.remove(recording)
                return False
        return True

    def run(self, recording: object, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call the function with this thread traced for a recording, for which :meth:`push` has just been called."""
        tracer = self._tracer if len(self._stack) == 1 else None
        if tracer is not None:
            self._of_run = tracer
        try:
            return function(*arguments)
        finally:
            # In this frame, and not in one below it: so the tracer is inside of no frame, and can be started again.
            if tracer is not None and tracer is self._of_run and self._stack in ([], [recording]):
                if cast(object, sys.gettrace()) is tracer:
                    sys.settrace(None)
                    tracer.stop()
                    tracer.is_on = False
                    self._stack.clear()
                    self._tracer, self._spare = None, tracer
                self._of_run = None
            self.remove(recording)

    @property
    def is_in_run(self) -> bool:
        """Whether :meth:`run` is under way, with the tracer on until it is done, whatever ends meanwhile."""
        return self._of_run is not None and cast(object, sys.gettrace()) is self._of_run

    def traces_for(self, recording: object) -> bool:
        """Whether it traces, on the calling thread, for that recording."""
        return recording in self._stack and cast(object, sys.gettrace()) is self._tracer

    def remove(self, recording: object) -> None:
        """Stop tracing for a recording, from any thread."""
        tracer = self._tracer
        if recording not in self._stack or tracer is None:
            return
        here = threading.get_ident() == self._thread
        undisturbed = not here or cast(object, sys.gettrace()) is tracer
        if not undisturbed:
            self._was_replaced()
        with suppress(ValueError):  # the thread itself has just removed it, in `run`
            self._stack.remove(recording)
        if not self._stack and not (here and undisturbed and tracer is self._of_run):
            self._tracer = self._of_run = None
            tracer.is_on = False
            tracer.stop()
            if here and undisturbed:
                sys.settrace(None)  # another thread's uninstalls itself at its next event

    def _was_replaced(self) -> None:
        for recording in list(self._stack):
            self._on_replaced(recording)

    def _new_tracer(self) -> Tracer:
        tracer = _new_tracer(self._files.should_trace, self._files.dispositions, {})
        tracer.thread = self._thread
        tracer.on_return = self._was_replaced
        tracer.lock_data = _selector(tracer, self._variable, self._data_of_current)
        return tracer


def _greenlet() -> Any:
    """The package, where coroutines may run code in greenlets, as SQLAlchemy's do: that code has frames of its own.

    Not wherever it is imported, since keeping them apart makes tracing twice as slow.
    """
    if loaded("greenlet", "getcurrent") is None:
        return None
    if running_loop() is None and "sqlalchemy.ext.asyncio" not in sys.modules:
        return None
    return sys.modules["greenlet"]


def _selector(tracer: Tracer, variable: ContextVar[Any], data_of_current: Callable[[], Data]) -> Callable[[], object]:
    """What the tracer calls when a frame is entered or resumed, just before it looks into its data."""
    get = variable.get
    # the tracer's members are hidden from the garbage collector: it must not be reachable from them
    tracer_of = weakref.ref(tracer)
    seen: object = tracer_of  # no value of the variable's

    def select() -> None:
        nonlocal seen
        value = get(None)
        if value is not seen:
            seen = value
            tracer = tracer_of()
            if tracer is not None:
                tracer.data = cast(Any, data_of_current())

    return select


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
    # in the caller's context it might be traced for a recording, and look as if it had replaced the trace function
    Context().run(thread.start)
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
    tracer.on_return = lambda: None
    return tracer
