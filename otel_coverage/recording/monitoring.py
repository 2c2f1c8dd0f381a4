"""Engine ``monitoring``: exact for every recording, on CPython 3.12 and later, through ``sys.monitoring``.

Two tool ids: one with local events on the application's code, one that discovers that code by a global event which it
switches off wherever it was seen once. Library code is never left instrumented.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from types import CodeType
from typing import ClassVar

from otel_coverage.recording.callbacks import Callbacks
from otel_coverage.recording.current import CurrentRecording
from otel_coverage.recording.executed import Executed
from otel_coverage.recording.mark import NO_MARK, Mark
from otel_coverage.recording.recording import Recording
from otel_coverage.recording.resolving import Resolver
from otel_coverage.settings import Granularity
from otel_coverage.source import SourceTree

RECORDER = "otel-coverage"
DISCOVERY = "otel-coverage discovery"

# 0, 1, 2 and 5 are meant for debuggers, coverage.py, profilers and optimizers: they come last.
_TOOL_IDS = (4, 3, 5, 2, 0, 1)

_EVENTS = tuple(getattr(sys.monitoring.events, name) for name in ("PY_START", "PY_RESUME", "PY_THROW", "LINE"))

_log = logging.getLogger(__name__)
_engines: weakref.WeakSet[MonitoringEngine] = weakref.WeakSet()


class MonitoringRecording(Recording):
    """A recording whose trace is kept as bits in the callbacks while it is open, and as code and lines after it."""

    engine_name: ClassVar[str] = "monitoring"

    def __init__(self, engine: MonitoringEngine, mark: Mark) -> None:
        self.mark = mark
        self._engine = engine
        self._left: list[tuple[CodeType, list[int]]] = []
        self._executed: Executed | None = None

    def executed(self) -> Executed:
        """What ran until now."""
        return self._engine._executed(self)


class MonitoringEngine:
    """Engine ``monitoring``. One a process; safe to use from any thread."""

    name = "monitoring"

    def __init__(self, granularity: Granularity, source: SourceTree, current: CurrentRecording) -> None:
        self.granularity: Granularity = granularity
        self._source = source
        self._current = current
        self._resolver = Resolver(source)
        self._lock = threading.RLock()  # reentrant: a signal handler may begin a recording amid another's beginning
        self._tools: tuple[int, int] | None = None
        self._callbacks: Callbacks | None = None
        self._open: set[MonitoringRecording] = set()
        self._refused = False
        _engines.add(self)

    def begin(self) -> Recording:
        """Open a recording. From here on, code that finds it through :class:`CurrentRecording` is recorded in it."""
        with self._lock:
            if self._callbacks is None:
                self._register()
            if self._callbacks is None:
                recording = MonitoringRecording(self, NO_MARK)
                recording.incomplete_reason = "no two tool ids of sys.monitoring are free"
                return recording
            recording = MonitoringRecording(self, self._callbacks.join())
            self._open.add(recording)
            return recording

    def end(self, recording: Recording) -> None:
        """Close a recording; what it executed stays readable. Ending twice is fine."""
        if not isinstance(recording, MonitoringRecording):
            return
        with self._lock:
            if self._callbacks is not None and recording in self._open:
                self._open.discard(recording)
                recording._left = self._callbacks.leave(recording.mark)

    def close(self) -> None:
        """Give back both tool ids and all callbacks. Open recordings end."""
        with self._lock:
            callbacks, tools = self._callbacks, self._tools
            if callbacks is None or tools is None:
                return
            for recording in list(self._open):
                self.end(recording)
            self._callbacks = self._tools = None
            sys.monitoring.set_events(tools[1], 0)
            callbacks.disarm()
            for tool in tools:
                for event in _EVENTS:
                    sys.monitoring.register_callback(tool, event, None)
                sys.monitoring.free_tool_id(tool)

    def _executed(self, recording: MonitoringRecording) -> Executed:
        with self._lock:
            if self._callbacks is not None and recording in self._open:
                return self._resolver.resolve(self._callbacks.read(recording.mark))
            if recording._executed is None:
                recording._executed = self._resolver.resolve(recording._left)
                recording._left = []
            return recording._executed

    def _register(self) -> None:
        """Take two tool ids and switch discovery on; nothing where there are none."""
        monitoring = sys.monitoring
        events = monitoring.events
        free = [tool for tool in _TOOL_IDS if monitoring.get_tool(tool) is None]
        if len(free) < 2:
            if not self._refused:
                self._refused = True
                holders = ", ".join(f"{tool}: {monitoring.get_tool(tool)}" for tool in sorted(_TOOL_IDS))
                _log.error("nothing is recorded: no two tool ids of sys.monitoring are free (%s)", holders)
            return
        recorder, discovery = free[:2]
        monitoring.use_tool_id(recorder, RECORDER)
        monitoring.use_tool_id(discovery, DISCOVERY)
        wanted = events.PY_START | events.PY_RESUME | (events.LINE if self.granularity == "line" else 0)
        callbacks = Callbacks(
            tool=recorder,
            events=wanted,
            variable=self._current.variable,
            key=self._current.key,
            is_wanted=lambda filename: self._source.locate(filename) is not None,
        )
        monitoring.register_callback(recorder, events.PY_START, callbacks.on_start)
        monitoring.register_callback(recorder, events.PY_RESUME, callbacks.on_start)
        monitoring.register_callback(recorder, events.LINE, callbacks.on_line)
        monitoring.register_callback(discovery, events.PY_START, callbacks.on_discovery)
        monitoring.register_callback(discovery, events.PY_RESUME, callbacks.on_discovery)
        monitoring.register_callback(discovery, events.PY_THROW, callbacks.on_throw)
        monitoring.set_events(discovery, events.PY_START | events.PY_RESUME | events.PY_THROW)
        self._tools, self._callbacks = (recorder, discovery), callbacks

    def _after_fork_in_child(self) -> None:
        """The parent's recordings are none of the child's, and whoever held the lock is not here."""
        self._lock = threading.RLock()
        opened, self._open = self._open, set()
        if self._callbacks is not None:
            self._callbacks.reset(recording.mark for recording in opened)


def _after_fork_in_child() -> None:
    for engine in list(_engines):
        engine._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
