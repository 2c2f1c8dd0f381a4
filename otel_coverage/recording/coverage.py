"""Engine ``coverage``: coverage.py's C tracer, one for each thread that runs a recording. Runs everywhere.

Exact where a thread runs one recording at a time: sequential code and threads. What runs in turns on one thread
(asyncio, greenlets) cannot be told apart by it; such a recording says that it is incomplete.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, ClassVar, TypeVar

from otel_coverage.recording.arcs import ArcResolver
from otel_coverage.recording.current import CurrentRecording
from otel_coverage.recording.executed import Executed
from otel_coverage.recording.forks import forget_in_children
from otel_coverage.recording.recording import Incomplete, Recording
from otel_coverage.recording.tracer import Data, Files, ThreadTracer, unpack
from otel_coverage.settings import Granularity
from otel_coverage.source import SourceTree

_T = TypeVar("_T")

# A new thread gets its context within its first few calls, if it gets one at all.
_CALLS_BEFORE_CONTEXT = 64


class CoverageRecording(Recording):
    """A recording whose trace is what coverage.py's tracers wrote into its data."""

    engine_name: ClassVar[str] = "coverage"

    def __init__(self, resolve: Callable[[Data], Executed], *, branch: bool) -> None:
        self.branch = branch
        self.data: Data = {}
        self.thread = threading.get_ident()
        self.tracers: list[ThreadTracer] = []
        self._resolve = resolve

    def executed(self) -> Executed:
        """What ran until now."""
        return self._resolve(self.data)


class CoverageEngine:
    """Engine ``coverage``. One a process; safe to use from any thread."""

    name = "coverage"

    def __init__(
        self, granularity: Granularity, source: SourceTree, current: CurrentRecording, *, branch: bool = False
    ) -> None:
        self.granularity: Granularity = granularity
        self.branch = branch and granularity == "line"
        self._current = current
        self._resolver = ArcResolver(source)
        self._files = Files(source)
        self._lock = threading.RLock()
        self._local = threading.local()
        self._open: set[CoverageRecording] = set()
        self._submit: Callable[..., Any] | None = None
        forget_in_children(self)

    def begin(self) -> Recording:
        """Open a recording of what runs on this thread, and on the threads that its context is carried to."""
        recording = CoverageRecording(self._resolve, branch=self.branch)
        reason = _why_threads_are_not_enough()
        if reason is not None:
            recording.mark_incomplete(*reason)
        with self._lock:
            self._hook()
            self._open.add(recording)
            self._trace_here(recording)
        return recording

    def end(self, recording: Recording) -> None:
        """Close a recording; what it executed stays readable. Ending twice is fine."""
        if not isinstance(recording, CoverageRecording):
            return
        with self._lock:
            if recording not in self._open:
                return
            if recording.thread != threading.get_ident():
                recording.mark_incomplete("thread_changed", "it ended on another thread than it began on")
            self._open.discard(recording)
            for tracer in recording.tracers:
                if not tracer.remove(recording):
                    recording.mark_incomplete(
                        "tracer_replaced", "another trace function took the place of coverage.py's tracer"
                    )
            recording.tracers = []
            if not self._open and threading.gettrace() == self._trace_new_thread:
                threading.settrace(None)

    def close(self) -> None:
        """Give back every tracer and hook. Open recordings end."""
        with self._lock:
            for recording in list(self._open):
                self.end(recording)
            if self._submit is not None and getattr(ThreadPoolExecutor.submit, "__otel_coverage__", None) is self:
                ThreadPoolExecutor.submit = self._submit  # type: ignore[method-assign]
            self._submit = None

    def after_fork_in_child(self) -> None:
        """The parent's recordings are none of the child's."""
        self._lock = threading.RLock()
        for recording in list(self._open):
            self.end(recording)
            recording.data = {}

    def _resolve(self, data: Data) -> Executed:
        return self._resolver.resolve(unpack(data), lines=self.granularity == "line", branch=self.branch)

    def _trace_here(self, recording: CoverageRecording) -> ThreadTracer:
        """Trace the running thread for the recording."""
        tracer: ThreadTracer | None = getattr(self._local, "tracer", None)
        if tracer is None:
            tracer = self._local.tracer = ThreadTracer(self._files)
        if sys.gettrace() == self._trace_new_thread:
            sys.settrace(None)
        outer = tracer.innermost
        if isinstance(outer, CoverageRecording) and outer not in (recording, self._current.get()):
            for interleaved in (outer, recording):
                interleaved.mark_incomplete(
                    "interleaved", "recordings took turns on one thread, which engine 'coverage' cannot follow"
                )
        if tracer.push(recording):
            recording.tracers.append(tracer)
        else:
            recording.mark_incomplete(
                "tracer_occupied", "another trace function (a debugger or coverage.py) is active on its thread"
            )
        return tracer

    # --- work that a recording's context is carried to

    def _hook(self) -> None:
        """See new threads and work for pools of threads, while recordings are open."""
        if threading.gettrace() is None:
            threading.settrace(self._trace_new_thread)
        if self._submit is None:
            self._submit = ThreadPoolExecutor.submit
            ThreadPoolExecutor.submit = self._following(self._submit)  # type: ignore[method-assign]

    def _trace_new_thread(self, frame: FrameType, event: Any, argument: Any) -> Any:
        """The trace function of a new thread, until its context names an open recording."""
        recording = self._current.get()
        if isinstance(recording, CoverageRecording) and recording in self._open:
            sys.settrace(None)
            with self._lock:
                self._trace_here(recording)
            trace = sys.gettrace()
            return None if trace is None else trace(frame, event, argument)
        self._local.calls = getattr(self._local, "calls", 0) + 1
        if self._local.calls > _CALLS_BEFORE_CONTEXT:
            sys.settrace(None)
        return None

    def _following(self, submit: Callable[..., Any]) -> Callable[..., Any]:
        """``ThreadPoolExecutor.submit`` that traces work on a pool's thread for the recording that handed it over."""

        @functools.wraps(submit)
        def submit_followed(
            executor: ThreadPoolExecutor, function: Callable[..., _T], /, *args: Any, **named: Any
        ) -> Any:
            recording = self._current.get()
            if isinstance(recording, CoverageRecording) and recording in self._open:
                function = self._followed(function, recording)
            return submit(executor, function, *args, **named)

        submit_followed.__otel_coverage__ = self  # type: ignore[attr-defined]
        return submit_followed

    def _followed(self, function: Callable[..., _T], recording: CoverageRecording) -> Callable[..., _T]:
        @functools.wraps(function, updated=())
        def run(*args: Any, **named: Any) -> _T:
            if recording not in self._open:
                return function(*args, **named)
            if self._current.get() is not recording:
                recording.mark_incomplete(
                    "context_lost", "it handed work to a pool of threads, where its context did not arrive"
                )
                return function(*args, **named)
            with self._lock:
                tracer = self._trace_here(recording)
            try:
                return function(*args, **named)
            finally:
                with self._lock:
                    tracer.remove(recording)

        return run


def _why_threads_are_not_enough() -> Incomplete | None:
    """What, on this thread, runs code of several contexts in turns."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        return Incomplete("tasks", "tasks of asyncio take turns on its thread, which engine 'coverage' cannot follow")
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None and greenlet.getcurrent().parent is not None:
        return Incomplete("greenlets", "greenlets take turns on its thread, which engine 'coverage' cannot follow")
    return None
