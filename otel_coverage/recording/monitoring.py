"""Engine ``monitoring``: exact for every recording, on CPython 3.12 and later, through ``sys.monitoring``.

Two tool ids: one with local events on the application's code, one that discovers that code by a global event which it
switches off wherever it was seen once. Library code is never left instrumented.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
from contextlib import suppress
from types import CodeType
from typing import TYPE_CHECKING, ClassVar

from otel_coverage.recording.choosing import callbacks_of, implementation
from otel_coverage.recording.current import CurrentRecording
from otel_coverage.recording.engine import Engine
from otel_coverage.recording.executed import Executed
from otel_coverage.recording.forks import forget_in_children
from otel_coverage.recording.mark import NO_MARK, Mark
from otel_coverage.recording.recording import Incomplete, Recording
from otel_coverage.recording.resolving import Resolver
from otel_coverage.recording.ways import NO_BRANCHES, SEES_BRANCHES
from otel_coverage.settings import Granularity
from otel_coverage.source import SourceTree

if TYPE_CHECKING:
    from otel_coverage.recording.callbacks import Callbacks

RECORDER = "otel-coverage"
DISCOVERY = "otel-coverage discovery"

# 0, 1, 2 and 5 are meant for debuggers, coverage.py, profilers and optimizers: they come last.
_TOOL_IDS = (4, 3, 5, 2, 0, 1)

# To arm one code object, the interpreter walks its bytecode twice: 0.5 µs for a function of seven lines, 0.9 µs with
# line events, and 1 µs more in Python. A restart costs 0.5 µs for each that the process runs, libraries' too: in C that
# is never the cheaper way.
_RESTART_ABOVE = {"c": math.inf, "python": 0.4}

_WAYS = {  # the callbacks of the ways out of an instruction, by event
    getattr(sys.monitoring.events, event): callback
    for event, callback in (("BRANCH_LEFT", "on_left"), ("BRANCH_RIGHT", "on_right"), ("PY_RETURN", "on_return"))
    if SEES_BRANCHES
}
_EVENTS = (*(getattr(sys.monitoring.events, name) for name in ("PY_START", "PY_RESUME", "PY_THROW", "LINE")), *_WAYS)

_log = logging.getLogger(__name__)


class MonitoringRecording(Recording):
    """A recording whose trace is kept as bits in the callbacks while it is open, and as code and lines after it."""

    __slots__ = ("_engine", "_executed", "_left", "mark")  # the callbacks in C read the mark in its slot

    engine_name: ClassVar[str] = "monitoring"
    follows_contexts: ClassVar[bool] = True

    def __init__(self, engine: MonitoringEngine, mark: Mark) -> None:
        self.mark = mark
        if engine.branch:
            self.branch = True
        self._engine = engine
        self._left: list[tuple[CodeType, list[int]]] = []
        self._executed: Executed | None = None

    def executed(self) -> Executed:
        """What ran until now."""
        return self._engine._executed(self)


class MonitoringEngine:
    """Engine ``monitoring``. One a process; safe to use from any thread.

    Attributes:
        implementation: what its callbacks are written in.
        restart_above: arm by ``restart_events()`` where more than this share of the code that the process runs is to be
            armed.
    """

    name = "monitoring"

    def __init__(
        self,
        granularity: Granularity,
        source: SourceTree,
        current: CurrentRecording,
        fallback: Engine | None = None,
        *,
        branch: bool = False,
    ) -> None:
        self.granularity: Granularity = granularity
        self.branch = branch and granularity == "line" and SEES_BRANCHES
        self._lacks_branches = branch and granularity == "line" and not SEES_BRANCHES
        self.implementation = implementation()
        self.restart_above = _RESTART_ABOVE[self.implementation.name]
        self._source = source
        self._current = current
        self._fallback = fallback
        self._resolver = Resolver(source, branch=self.branch)
        self._lock = threading.RLock()  # reentrant: a signal handler may begin a recording amid another's beginning
        self._tools: tuple[int, ...] = ()
        self._callbacks: Callbacks | None = None
        self._open: set[MonitoringRecording] = set()
        self._said_why = False
        forget_in_children(self)

    def begin(self) -> Recording:
        """Open a recording. From here on, code that finds it through :class:`CurrentRecording` is recorded in it."""
        with self._lock:
            if self._callbacks is None:
                self._register()
            if self._callbacks is None:
                return self._begin_elsewhere("no tool id of sys.monitoring is free")
            try:
                mark = self._callbacks.join()
            except OverflowError:
                return self._begin_elsewhere("sys.monitoring has run out of restarts, and only one tool id was free")
            recording = MonitoringRecording(self, mark)
            self._open.add(recording)
            return recording

    def end(self, recording: Recording) -> None:
        """Close a recording; what it executed stays readable. Ending twice is fine."""
        if not isinstance(recording, MonitoringRecording):
            if self._fallback is not None:
                self._fallback.end(recording)
            return
        with self._lock:
            if self._callbacks is not None and recording in self._open:
                self._open.discard(recording)
                try:
                    recording._left = self._callbacks.leave(recording.mark)
                except BaseException:  # a signal handler's, such as a job's timeout
                    recording.mark_incomplete("interrupted", "an exception interrupted its end")
                    raise

    def close(self) -> None:
        """Give back both tool ids and all callbacks. Open recordings end."""
        with self._lock:
            if self._fallback is not None:
                self._fallback.close()
            callbacks, tools = self._callbacks, self._tools
            if callbacks is None:
                return
            for recording in list(self._open):
                self.end(recording)
            self._callbacks, self._tools = None, ()
            with suppress(OverflowError):  # out of restarts, the interpreter changes no events either
                sys.monitoring.set_events(tools[-1], 0)
            callbacks.disarm()
            for tool in tools:
                for event in _EVENTS:
                    sys.monitoring.register_callback(tool, event, None)
                sys.monitoring.free_tool_id(tool)

    def after_fork_in_child(self) -> None:
        """The parent's recordings are none of the child's, and whoever held the lock is not here."""
        self._lock = threading.RLock()
        opened, self._open = self._open, set()
        if self._callbacks is not None:
            self._callbacks.reset(recording.mark for recording in opened)

    def _executed(self, recording: MonitoringRecording) -> Executed:
        with self._lock:
            if self._callbacks is not None and recording in self._open:
                return self._named(self._callbacks.read(recording.mark))
            if recording._executed is None:
                recording._executed = self._named(recording._left)
                recording._left = []
            return recording._executed

    def _named(self, entered: list[tuple[CodeType, list[int]]]) -> Executed:
        return self._resolver.resolve(entered, lines=self.granularity == "line")

    def _register(self) -> None:
        """Take tool ids and switch discovery on; nothing where there are none.

        Two ids are wanted. With one, the tool that records also discovers, by global start events, which only
        restart_events() arms anew: as exact, at a higher price.
        """
        monitoring = sys.monitoring
        events = monitoring.events
        tools = tuple(tool for tool in _TOOL_IDS if monitoring.get_tool(tool) is None)[:2]
        if not tools:
            return
        for tool, name in zip(tools, (RECORDER, DISCOVERY), strict=False):
            monitoring.use_tool_id(tool, name)
        recorder, discovery = tools[0], tools[-1]
        alone = recorder == discovery
        starts = events.PY_START | events.PY_RESUME
        others = (events.LINE if self.granularity == "line" else 0) | (sum(_WAYS) if self.branch else 0)
        callbacks = callbacks_of(self.implementation)(
            tool=recorder,
            events=(0 if alone else starts) | others,
            variable=self._current.variable,
            key=self._current.key,
            is_wanted=self._is_wanted,
            restart_above=self.restart_above,
            alone=alone,
        )
        for start in (events.PY_START, events.PY_RESUME):
            monitoring.register_callback(discovery, start, callbacks.on_discovery)
            monitoring.register_callback(recorder, start, callbacks.on_start)
        monitoring.register_callback(recorder, events.LINE, callbacks.on_line)
        for event, callback in _WAYS.items() if self.branch else ():
            monitoring.register_callback(recorder, event, getattr(callbacks, callback))
        monitoring.register_callback(discovery, events.PY_THROW, callbacks.on_throw)
        monitoring.set_events(discovery, starts | events.PY_THROW)
        self._tools, self._callbacks = tools, callbacks
        if self._lacks_branches:
            self._lacks_branches = False
            _log.warning("lines alone are recorded, though branch = true: %s", NO_BRANCHES)

    def _begin_elsewhere(self, reason: str) -> Recording:
        """A recording of the other engine, where there is one, or an empty one; incomplete either way."""
        if not self._said_why:
            self._said_why = True
            held = ", ".join(f"{tool}: {sys.monitoring.get_tool(tool)}" for tool in sorted(_TOOL_IDS))
            served = "records nothing" if self._fallback is None else f"leaves it to engine {self._fallback.name!r}"
            _log.error("engine 'monitoring' %s: %s (%s)", served, reason, held)
        recording = MonitoringRecording(self, NO_MARK) if self._fallback is None else self._fallback.begin()
        recording.incomplete = Incomplete("engine_unavailable", reason)
        return recording

    def _is_wanted(self, filename: str) -> bool:
        try:
            return self._source.locate(filename) is not None
        except (OSError, ValueError):  # nothing that a code object is called may break what calls it
            _log.warning("cannot tell whether %r belongs to the application; it is not recorded", filename)
            return False
