"""Engine ``monitoring``: exact for every recording, on CPython 3.12 and later, through ``sys.monitoring``.

It takes two tool ids: one with local events on the application's code, one that discovers that code by global events,
which it disables wherever they fired once. Library code is never left instrumented.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from otel_coverage.recording import branch_edges
from otel_coverage.recording.backend import callbacks_class, select_backend
from otel_coverage.recording.engine import Engine, reset_in_forked_children
from otel_coverage.recording.executed import Executed
from otel_coverage.recording.known_sets import FilesRead, KnownSets
from otel_coverage.recording.recording import NO_SLOT, CurrentRecording, Incomplete, Recording, RecordingSlot
from otel_coverage.recording.symbolizer import Symbolizer
from otel_coverage.settings import Granularity
from otel_coverage.source import SourceTree

if TYPE_CHECKING:
    from otel_coverage.recording.callbacks import Callbacks

_T = TypeVar("_T")

RECORDER = "otel-coverage"
DISCOVERY = "otel-coverage discovery"

# 0, 1, 2 and 5 are meant for debuggers, coverage.py, profilers and optimizers: they come last.
_TOOL_IDS = (4, 3, 5, 2, 0, 1)

_EVENTS = (
    *(getattr(sys.monitoring.events, name) for name in ("PY_START", "PY_RESUME", "PY_THROW", "LINE")),
    *branch_edges.EVENT_CALLBACKS,
)

_log = logging.getLogger(__name__)


class MonitoringRecording(Recording):
    """A recording that is kept as bits in the callbacks while it is open, and as code objects and lines after it."""

    __slots__ = ("_engine", "_executed", "_files", "slot")  # the callbacks in C read `slot` at its offset

    engine_name: str = "monitoring"

    def __init__(self, engine: MonitoringEngine, slot: RecordingSlot) -> None:
        self.slot = slot
        if engine.branch:
            self.branch = True
        self._engine = engine
        self._files: FilesRead = ()
        self._executed: Executed | None = None

    def executed(self) -> Executed:
        """What ran until now."""
        return self._engine._executed(self)


class MonitoringEngine:
    """Engine ``monitoring``. One a process; safe to use from any thread.

    Attributes:
        backend: what its callbacks are written in.
    """

    name = "monitoring"

    def __init__(
        self,
        granularity: Granularity,
        source: SourceTree,
        current: CurrentRecording,
        open_fallback: Callable[[], Engine] | None = None,
        *,
        branch: bool = False,
    ) -> None:
        self.granularity: Granularity = granularity
        self.branch = branch and granularity == "line" and branch_edges.SUPPORTED
        self._lacks_branches = branch and granularity == "line" and not branch_edges.SUPPORTED
        self.backend = select_backend()
        self._source = source
        self._current = current
        self._open_fallback = open_fallback
        self._fallback: Engine | None = None
        symbolizer = (branch_edges.EdgeSymbolizer if self.branch else Symbolizer)(source)
        self._known = KnownSets(symbolizer, lines=granularity == "line")
        self._lock = threading.RLock()  # reentrant: a signal handler may interrupt `begin` and call it
        self._tools: tuple[int, ...] = ()
        self._callbacks: Callbacks | None = None
        self._open: set[MonitoringRecording] = set()
        self._logged_unavailable = False
        reset_in_forked_children(self)

    def begin(self) -> Recording:
        """Open a recording. From here on, code that finds it through :class:`CurrentRecording` is recorded in it."""
        with self._lock:
            if self._callbacks is None:
                self._register()
            if self._callbacks is None:
                return self._begin_fallback("no tool id of sys.monitoring is free")
            try:
                slot = self._callbacks.begin()
            except OverflowError:
                return self._begin_fallback("sys.monitoring has run out of restarts, and only one tool id was free")
            recording = MonitoringRecording(self, slot)
            self._open.add(recording)
            return recording

    def prepare(self) -> Recording | None:
        """A recording for a child that is forked next, which need not register the callbacks, nor discover what this
        process has run until then. None where no tool id is free.
        """
        with self._lock:
            if self._callbacks is None:
                self._register()
            return None if self._callbacks is None else MonitoringRecording(self, NO_SLOT)

    def open(self, recording: Recording) -> bool:
        """Begin a prepared recording. Returns whether that was possible."""
        with self._lock:
            if self._callbacks is None or not isinstance(recording, MonitoringRecording):
                return False
            try:
                recording.slot = self._callbacks.begin()
            except OverflowError:
                return False
            recording._executed = None  # somebody may have read it before
            self._open.add(recording)
            return True

    def follow(self, recording: Recording) -> AbstractContextManager[None]:
        """Nothing is to be done: the callbacks find the recording in the context on any thread."""
        if self._fallback is not None and not isinstance(recording, MonitoringRecording):
            return self._fallback.follow(recording)
        return nullcontext()

    def enter(self, recording: Recording) -> Callable[[], None] | None:
        """Nothing is to be done, as for :meth:`follow`."""
        if self._fallback is not None and not isinstance(recording, MonitoringRecording):
            return self._fallback.enter(recording)
        return None

    def drive(self, recording: Recording, coroutine: Coroutine[Any, Any, _T]) -> Coroutine[Any, Any, _T]:
        """The coroutine itself: the callbacks find the recording in the context at each step."""
        if self._fallback is not None and not isinstance(recording, MonitoringRecording):
            return self._fallback.drive(recording, coroutine)
        return coroutine

    def detach(self, recording: Recording) -> None:
        """Nothing is to be done: what runs there is found by its context."""
        if self._fallback is not None:
            self._fallback.detach(recording)

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
                    recording._files = self._callbacks.end_by_file(recording.slot, self._known.by_key)
                except BaseException:  # from a signal handler, such as a job's timeout
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
            with suppress(OverflowError):  # without restarts left, the interpreter refuses to change events too
                sys.monitoring.set_events(tools[-1], 0)
            callbacks.disarm()
            for tool in tools:
                for event in _EVENTS:
                    sys.monitoring.register_callback(tool, event, None)
                sys.monitoring.free_tool_id(tool)

    def after_fork_in_child(self) -> None:
        """Forget the parent's recordings, and the lock: the thread that held it may not exist here.

        Those that survive end here.
        """
        self._lock = threading.RLock()
        opened = self._open
        if opened:
            for recording in [recording for recording in opened if recording.survives_fork]:
                self.end(recording)
            self._open = set()
        if self._callbacks is not None:
            self._callbacks.reset(recording.slot for recording in opened)  # rule: forked-child-starts-empty

    def _executed(self, recording: MonitoringRecording) -> Executed:
        with self._lock:
            is_open = self._callbacks is not None and recording in self._open
            if self._callbacks is not None and is_open:
                files = self._callbacks.read_by_file(recording.slot, self._known.by_key)
            elif recording._executed is not None:
                return recording._executed
            else:
                files = recording._files
        executed = self._known.executed(files)  # without the lock: others may begin meanwhile
        with self._lock:
            if not is_open and recording._files is files and recording not in self._open:
                recording._executed, recording._files = executed, ()
        return executed

    def _register(self) -> None:
        """Take tool ids and register the callbacks; nothing where no tool id is free.

        Where only one is free, the tool that records also discovers, by global start events, which only
        ``restart_events()`` rearms: as exact, but slower.
        """
        monitoring = sys.monitoring
        events = monitoring.events
        tools = tuple(tool for tool in _TOOL_IDS if monitoring.get_tool(tool) is None)[:2]
        if not tools:
            return
        for tool, name in zip(tools, (RECORDER, DISCOVERY), strict=False):
            monitoring.use_tool_id(tool, name)
        recorder, discovery = tools[0], tools[-1]
        single_tool = recorder == discovery
        starts = events.PY_START | events.PY_RESUME
        edges = sum(branch_edges.EVENT_CALLBACKS) if self.branch else 0  # rule: edges-are-local-events
        local = 0 if single_tool else starts  # rule: local-starts, local-resumptions
        callbacks = callbacks_class(self.backend)(
            tool=recorder,
            events=local | (events.LINE if self.granularity == "line" else 0) | edges,
            variable=self._current.variable,
            key=self._current.key,
            should_trace=self._should_trace,
            single_tool=single_tool,
        )
        for start in (events.PY_START, events.PY_RESUME):
            monitoring.register_callback(discovery, start, callbacks.on_discovery)
            monitoring.register_callback(recorder, start, callbacks.on_start)
        monitoring.register_callback(recorder, events.LINE, callbacks.on_line)
        for event, callback in branch_edges.EVENT_CALLBACKS.items() if self.branch else ():
            monitoring.register_callback(recorder, event, getattr(callbacks, callback))
        monitoring.register_callback(discovery, events.PY_THROW, callbacks.on_throw)
        discovered = starts | events.PY_THROW  # rule: starts-discover, resumptions-discover, throws-resume
        monitoring.set_events(discovery, discovered)
        self._tools, self._callbacks = tools, callbacks
        if self._lacks_branches:
            self._lacks_branches = False
            _log.warning("only lines are recorded, though branch = true: %s", branch_edges.UNSUPPORTED_REASON)

    def _begin_fallback(self, reason: str) -> Recording:
        """A recording of the fallback engine, or an empty one where there is none; incomplete either way."""
        if self._fallback is None and self._open_fallback is not None:
            self._fallback = self._open_fallback()
        if not self._logged_unavailable:
            self._logged_unavailable = True
            held = ", ".join(f"{tool}: {sys.monitoring.get_tool(tool)}" for tool in sorted(_TOOL_IDS))
            instead = (
                "nothing is recorded" if self._fallback is None else f"engine {self._fallback.name!r} records instead"
            )
            _log.error("engine 'monitoring' cannot record: %s; %s (tool ids: %s)", reason, instead, held)
        recording = MonitoringRecording(self, NO_SLOT) if self._fallback is None else self._fallback.begin()
        recording.incomplete = Incomplete("engine_unavailable", reason)
        return recording

    def _should_trace(self, filename: str) -> bool:
        try:
            return self._source.locate(filename) is not None
        except (OSError, ValueError):  # a code object may have any file name; the application must not fail for it
            _log.warning("cannot tell whether %r belongs to the application; it is not recorded", filename)
            return False
