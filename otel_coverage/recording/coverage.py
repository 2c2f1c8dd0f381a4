"""Engine ``coverage``: coverage.py's C tracer, one for each thread that runs a recording. Runs everywhere.

Exact where a thread runs one recording at a time: sequential code and threads. It cannot separate what runs in turns on
one thread (asyncio, greenlets); such a recording says that it is incomplete.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

from otel_coverage.recording.arcs import ArcSymbolizer
from otel_coverage.recording.engine import reset_in_forked_children
from otel_coverage.recording.executed import Executed
from otel_coverage.recording.recording import CurrentRecording, Incomplete, Recording
from otel_coverage.recording.tracer import Data, Files, ThreadTracer, unpack
from otel_coverage.settings import Granularity
from otel_coverage.source import SourceTree


class CoverageRecording(Recording):
    """A recording that coverage.py's tracers write into."""

    engine_name: ClassVar[str] = "coverage"

    def __init__(self, symbolize: Callable[[Data], Executed], *, branch: bool) -> None:
        self.branch = branch
        self.data: Data = {}
        self.thread = threading.get_ident()
        self.tracers: list[ThreadTracer] = []
        self._symbolize = symbolize

    def executed(self) -> Executed:
        """What ran until now."""
        return self._symbolize(self.data)


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
        reset_in_forked_children(self)

    def begin(self) -> Recording:
        """Open a recording of what runs on this thread, and in blocks of :meth:`follow` on others."""
        recording = CoverageRecording(self._symbolize, branch=self.branch)
        with self._lock:
            self._open.add(recording)
            self._trace_here(recording)
        return recording

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
            tracer = self._trace_here(recording)
        try:
            yield
        finally:
            with self._lock:
                tracer.remove(recording)
                if tracer in recording.tracers:
                    recording.tracers.remove(tracer)

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
            recording.data = {}

    def _symbolize(self, data: Data) -> Executed:
        return self._symbolizer.symbolize(unpack(data), lines=self.granularity == "line", branch=self.branch)

    def _trace_here(self, recording: CoverageRecording) -> ThreadTracer:
        """Trace the running thread for the recording."""
        reason = _shared_thread()
        if reason is not None:
            recording.mark_incomplete(*reason)
        tracer: ThreadTracer | None = getattr(self._local, "tracer", None)
        if tracer is None:
            tracer = self._local.tracer = ThreadTracer(self._files)
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


def _shared_thread() -> Incomplete | None:
    """What runs code of several contexts in turns on this thread, if anything."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        return Incomplete("tasks", "tasks of asyncio take turns on its thread, which engine 'coverage' cannot follow")
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None and greenlet.getcurrent().parent is not None:
        return Incomplete("greenlets", "greenlets take turns on its thread, which engine 'coverage' cannot follow")
    return None
