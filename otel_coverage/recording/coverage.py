"""Engine ``coverage``: coverage.py's C tracer, one for each thread that runs a recording. Runs everywhere.

A tracer is on only while code of a recording runs on its thread: from ``begin`` to ``end``, and around what is
followed. What it sees belongs to the recording that is current where a frame is entered, so code of several
recordings, and of none, may take turns on a thread.

In an event loop it is on during the steps of a coroutine that is driven, and during the callbacks, steps of tasks among
them, that are scheduled in the recording's context; where a loop cannot be hooked for that, it stays on.

It cannot follow greenlets; such a recording says that it is incomplete.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context
from functools import partial
from typing import Any, TypeVar

from otel_coverage.loaded import loaded
from otel_coverage.recording.arcs import ArcSymbolizer
from otel_coverage.recording.engine import reset_in_forked_children
from otel_coverage.recording.event_loops import HookedLoop, is_callback, running_loop
from otel_coverage.recording.executed import Executed
from otel_coverage.recording.recording import CurrentRecording, Recording
from otel_coverage.recording.steps import DrivenCallback, DrivenCoroutine
from otel_coverage.recording.tracer import Data, Files, ThreadTracer, unpack
from otel_coverage.settings import Granularity
from otel_coverage.source import SourceTree

_T = TypeVar("_T")


class CoverageRecording(Recording):
    """A recording that coverage.py's tracers write into."""

    engine_name: str = "coverage"

    def __init__(self, symbolize: Callable[[CoverageRecording], Executed], *, branch: bool) -> None:
        self.branch = branch
        self.data: Data = {}
        self.thread: int | None = threading.get_ident()  # None once it is not bound to the one that it began on
        self.tracers: list[ThreadTracer] = []
        self.loops: list[HookedLoop] = []
        self._symbolize = symbolize

    def executed(self) -> Executed:
        """What ran until now."""
        return self._symbolize(self)


class CoverageEngine:
    """Engine ``coverage``. One per process; safe to use from any thread."""

    name = "coverage"

    def __init__(
        self, granularity: Granularity, source: SourceTree, current: CurrentRecording, *, branch: bool = False
    ) -> None:
        self.granularity: Granularity = granularity
        self.branch = branch and granularity == "line"
        self._current = current
        self._symbolizer = ArcSymbolizer(source)
        self._files = Files(source)
        self._lock = threading.RLock()
        self._local = threading.local()
        self._open: set[CoverageRecording] = set()
        self._loops: weakref.WeakKeyDictionary[Any, HookedLoop] = weakref.WeakKeyDictionary()
        reset_in_forked_children(self)

    def begin(self) -> Recording:
        """Open a recording of what runs on this thread, and in blocks of :meth:`follow` on others."""
        recording = CoverageRecording(self._symbolize, branch=self.branch)
        with self._lock:
            self._open.add(recording)
            self._hook_loop(recording)
            self._trace_here(recording)
        return recording

    def prepare(self) -> None:
        """None: a tracer belongs to the thread that a recording begins on."""

    def open(self, recording: Recording) -> bool:
        """False: there are none that were prepared."""
        return False

    @contextmanager
    def follow(self, recording: Recording) -> Iterator[None]:
        """Record what the block runs on the calling thread; it has to run in a context that has the recording."""
        if not isinstance(recording, CoverageRecording) or recording not in self._open:
            yield
            return
        if self._current.get() is not recording:
            recording.mark_incomplete(
                "context_lost", "it gave work to another thread, where its context did not arrive"
            )
            yield
            return
        with self._lock:
            self._hook_loop(recording)
            tracer = self._trace_here(recording)
        try:
            yield
        finally:
            self._untrace(recording, tracer)

    def enter(self, recording: Recording) -> Callable[[], None] | None:
        """Trace the thread until what is returned is called; in an event loop to the end of its current step at most.

        Also where the tracer is on for another recording, which may end first.
        """
        if not isinstance(recording, CoverageRecording) or recording not in self._open:
            return None
        tracer: ThreadTracer | None = getattr(self._local, "tracer", None)
        if tracer is not None and tracer.traces_for(recording):
            return None
        loop = running_loop()
        followed = ExitStack()
        followed.enter_context(self.follow(recording))
        if loop is not None:  # which runs code of others next; the steps that follow are its callbacks in this context
            loop.call_soon(followed.close, context=Context())
        return followed.close

    def drive(self, recording: Recording, coroutine: Coroutine[Any, Any, _T]) -> Coroutine[Any, Any, _T]:
        """A coroutine whose steps are those of ``coroutine``, traced."""
        if not isinstance(recording, CoverageRecording) or recording not in self._open:
            return coroutine
        if recording.loops and recording.thread == threading.get_ident():
            self.detach(recording)
        return DrivenCoroutine(coroutine, partial(self._run, recording))

    def detach(self, recording: Recording) -> None:
        """The thread that it began on is no longer traced for it."""
        if not isinstance(recording, CoverageRecording):
            return
        with self._lock:
            if recording.thread is not None and recording.tracers:
                recording.thread = None
                self._untrace(recording, recording.tracers[0])

    def end(self, recording: Recording) -> None:
        """Close a recording; what it executed stays readable. Ending twice is fine."""
        if not isinstance(recording, CoverageRecording):
            return
        with self._lock:
            if recording not in self._open:
                return
            if recording.thread not in (None, threading.get_ident()):
                recording.mark_incomplete("thread_changed", "it ended on another thread than it began on")
            self._open.discard(recording)
            for tracer in recording.tracers:
                tracer.remove(recording)
            recording.tracers = []
            recording.data = {filename: arcs.copy() for filename, arcs in list(recording.data.items())}  # frames go on
            for loop in recording.loops:
                loop.recordings.discard(recording)
                if not loop.recordings:
                    loop.undo()

    def close(self) -> None:
        """Take every tracer away. Open recordings end."""
        with self._lock:
            for recording in list(self._open):
                self.end(recording)

    def after_fork_in_child(self) -> None:
        """Forget the parent's recordings, and the lock: the thread that held it may not exist here."""
        self._lock = threading.RLock()
        for recording in list(self._open):
            self.end(recording)
            if not recording.survives_fork:
                recording.data = {}

    def _symbolize(self, recording: CoverageRecording) -> Executed:
        data = recording.data
        changed = self._files.changed(list(data))
        if changed is not None:
            recording.mark_incomplete(
                "source_changed",
                f"{changed} was changed after it had been loaded, and engine 'coverage' reads names from it:"
                " restart the process",
            )
        return self._symbolizer.symbolize(unpack(data), lines=self.granularity == "line", branch=self.branch)

    def _trace_here(self, recording: CoverageRecording, *, step: bool = False) -> ThreadTracer:
        """Trace the running thread for the recording."""
        current_greenlet = loaded("greenlet", "getcurrent")
        if current_greenlet is not None and current_greenlet().parent is not None:
            recording.mark_incomplete(
                "greenlets", "greenlets take turns on its thread, which engine 'coverage' cannot follow"
            )
        tracer: ThreadTracer | None = getattr(self._local, "tracer", None)
        if tracer is None:
            tracer = self._local.tracer = ThreadTracer(
                self._files, self._current.variable, self._data_of_current, _mark_replaced
            )
        if tracer.push(recording, step=step):
            recording.tracers.append(tracer)
        else:
            recording.mark_incomplete(
                "tracer_occupied", "another trace function (a debugger or coverage.py) is active on its thread"
            )
        return tracer

    def _untrace(self, recording: CoverageRecording, tracer: ThreadTracer) -> None:
        with self._lock:
            if tracer in recording.tracers:
                recording.tracers.remove(tracer)
                tracer.remove(recording)

    def _run(self, recording: CoverageRecording, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call the function, traced on this thread for the recording."""
        tracer: ThreadTracer | None = getattr(self._local, "tracer", None)
        if recording not in self._open or (tracer is not None and tracer.is_in_run):
            return function(*arguments)
        with self._lock:
            self._hook_loop(recording)
            tracer = self._trace_here(recording, step=True)
        if tracer not in recording.tracers:
            return function(*arguments)
        try:
            return tracer.run(recording, function, *arguments)
        finally:
            with self._lock:
                if tracer in recording.tracers:
                    recording.tracers.remove(tracer)

    def _data_of_current(self) -> Data:
        recording = self._current.get()
        return recording.data if isinstance(recording, CoverageRecording) and recording in self._open else {}

    def _hook_loop(self, recording: CoverageRecording) -> None:
        """Have the loop that runs on this thread, if any, trace what is scheduled in the recording's context."""
        loop = running_loop()
        if loop is None:
            return
        hooked = self._loops.get(loop)
        if hooked is not None and recording in hooked.recordings:
            return
        if hooked is None or not hooked.recordings:
            try:
                hooked = self._loops[loop] = HookedLoop(loop, self._current.variable, self._wrap)
            except (TypeError, AttributeError):  # it refuses
                return
        hooked.recordings.add(recording)
        recording.loops.append(hooked)

    def _wrap(self, value: Any, callback: Callable[..., Any]) -> Callable[..., Any] | None:
        key = self._current.key
        recording = value if key is None else value.get(key)
        if recording not in self._open or isinstance(callback, DrivenCallback) or not is_callback(callback):
            return None
        return DrivenCallback(callback, partial(self._run, recording))


def _mark_replaced(recording: CoverageRecording) -> None:
    recording.mark_incomplete(
        "tracer_replaced", "the trace function was changed (sys.settrace): what ran meanwhile is not recorded"
    )
