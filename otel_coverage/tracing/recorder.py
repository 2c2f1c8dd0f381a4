"""The process's one recorder: opens and closes entries, and keeps the engine that records them."""

from __future__ import annotations

import atexit
import math
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from types import CodeType
from typing import Any, TypeVar

from opentelemetry.trace import SpanKind, Tracer

from otel_coverage.coveragepy import wants_branches
from otel_coverage.errors import ConfigurationError
from otel_coverage.recording import Engine, Incomplete, open_engine
from otel_coverage.settings import Settings
from otel_coverage.source import SourceTree, encodable, working_folder
from otel_coverage.symbols import symbol_of
from otel_coverage.tracing import code_revision, tally
from otel_coverage.tracing.context import current_recording
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.flusher import Flusher
from otel_coverage.tracing.forks import in_child
from otel_coverage.tracing.log import log
from otel_coverage.tracing.metrics import metrics, totals
from otel_coverage.tracing.pending import PendingWork
from otel_coverage.tracing.playback import Playback
from otel_coverage.tracing.startup import Startup

_T = TypeVar("_T")

JOIN_SECONDS = 5.0
FLUSH_SECONDS = 5.0
DRAIN_SECONDS = 30.0  # that an entry which has ended waits for pending work, or for the body of its response


class Recorder:
    """Opens and closes entries. Nothing is hooked into the interpreter before the first one opens.

    What runs longer than the setting ``partial_interval`` is written in parts meanwhile: a job that is killed loses
    what it executed since the last of them, not more.

    Args:
        settings: what to record.

    Attributes:
        has_traced: whether a span of a playback has started in this process.
        tracer: makes spans of this process that belong to no entry; None before the first entry span.
        on_drive: called where a coroutine is about to be driven, in the event loop that does so.
        flush: sends the spans that have ended, within some seconds; partial sets would be late otherwise.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.has_traced = False
        self.tracer: Tracer | None = None
        self.flush: Callable[[float], object] = lambda timeout: None
        self.on_drive: Callable[[], object] = lambda: None
        self._folder = working_folder()
        self._engine: Engine | None = None
        self._tree: SourceTree | None = None
        self._entries = 0
        self._serves = False  # whether this process is one for many entries
        self._open: set[Entry] = set()
        self._draining: set[Entry] = set()  # those of the open ones that only wait for pending work
        self._ends_at_exit = False
        self._located_modules = 0
        self._startup: Startup | None = None
        self._flusher: Flusher | None = None
        self._lock = threading.Lock()
        in_child(self._after_fork)

    def open(self, playback: Playback, kind: SpanKind, failure: Incomplete | None = None) -> Entry:
        """Begin to record. Never raises: an entry without a recording says on its span why it has none.

        Args:
            playback: whose work it is.
            kind: the kind of span that will be the entry span.
            failure: why nothing can be recorded; None to try.
        """
        recording = None
        self.end_startup()
        started = metrics.start()
        try:
            recording = self._open_engine().begin() if failure is None else None
        except Exception as error:
            log.failed("opening a recording", error)
            failure = Incomplete("engine_failed", f"no recording could be opened: {error}")
        entry = Entry(playback, kind, recording, failure, self.settings, number=tally.number(playback, self.settings))
        totals.recordings += recording is not None
        metrics.spent("begin", started)
        self._opened(entry)
        return entry

    def prepare_entry(self, playback: Playback, kind: SpanKind) -> Entry | None:
        """An entry for a child that is forked next, which opens it by :meth:`adopt`. Never raises.

        What is made before the fork takes a tenth of the time that it takes in a child.

        Returns:
            None where the engine records nothing that began before a fork.
        """
        try:
            recording = self._open_engine().prepare()
            if recording is None:
                return None
            entry = Entry(playback, kind, recording, None, self.settings)
            entry.is_prepared = True
            return entry
        except Exception as error:
            log.failed("preparing to record", error)
            return None

    def adopt(self, entry: Entry) -> bool:
        """Open an entry that was made before this process was forked. Never raises.

        Returns:
            Whether it is open; else another one is to be opened.
        """
        started = metrics.start()
        try:
            if entry.recording is None or self._engine is None or not self._engine.open(entry.recording):
                return False
        except Exception as error:
            log.failed("opening a recording", error)
            return False
        entry.adopt(tally.number(entry.playback, self.settings))
        totals.recordings += 1
        metrics.spent("begin", started)
        self._opened(entry)
        return True

    def _opened(self, entry: Entry) -> None:
        self._entries += 1
        self._serves = self._serves or entry.kind is SpanKind.SERVER or self._entries > 1
        try:
            if self.settings.partial_interval:
                entry.due = time.monotonic() + self.settings.partial_interval
            self._open.add(entry)
            if not self._ends_at_exit:
                self._ends_at_exit = True
                atexit.register(self.end_process)  # the provider's shutdown was registered earlier, so it runs later
            if self._flusher is None:
                self._start_flusher()
        except Exception as error:  # the system may have no thread left
            log.failed("starting to write partial sets", error)

    def close(self, entry: Entry) -> None:
        """The entry's main work is done. Never raises; closing twice is fine.

        Without pending work the recording ends, and what is left of it is written. Else what ran until now is written,
        and the rest once that work is done, or after ``DRAIN_SECONDS``: a thread that lives as long as the process
        belongs to no request in the long run.
        """
        if entry not in self._open:
            return  # closed, or of the process that this one was forked from
        try:
            if entry.main_work_done():
                self._end(entry)
            else:
                if entry.recording is not None and self._engine is not None:
                    self._engine.detach(entry.recording)
                entry.due = time.monotonic() + DRAIN_SECONDS
                self._draining.add(entry)
                if not entry.release_span():
                    entry.writer.write_parts()
                if not entry.is_open:  # the last of the work was done just now
                    self._draining.discard(entry)
        except Exception as error:
            log.failed("closing a recording", error)

    def follow(self, entry: Entry) -> AbstractContextManager[object]:
        """Around what another thread does for the entry; without it engine ``coverage`` does not see that thread."""
        engine = self._engine
        if entry.recording is None or engine is None:
            return nullcontext()
        return engine.follow(entry.recording)

    def enter(self, entry: Entry) -> Callable[[], None] | None:
        """The calling thread was just put into the entry's context. Returns what to call where it leaves it, if any."""
        engine = self._engine
        return None if entry.recording is None or engine is None else engine.enter(entry.recording)

    def drive(self, entry: Entry, coroutine: Coroutine[Any, Any, _T]) -> Coroutine[Any, Any, _T]:
        """A coroutine to await instead of ``coroutine``, whose steps are recorded for the entry. Never raises."""
        engine = self._engine
        if entry.recording is None or engine is None:
            return coroutine
        try:
            self.on_drive()
            return engine.drive(entry.recording, coroutine)
        except Exception as error:
            log.failed("following a coroutine", error)
            entry.mark_incomplete("hook_failed", f"its coroutine could not be followed: {error}")
            return coroutine

    def add_pending(self, entry: Entry, work: PendingWork) -> None:
        """Another thread is to do ``work`` for the entry, which waits for it. Never raises; adding twice is fine."""
        try:
            if entry.add_pending(work):
                return
            if self.runs_application(work):
                entry.mark_incomplete("thread_late", "a thread started its work after the entry was closed")
        except Exception as error:
            log.failed("following a thread", error)

    def pending_done(self, entry: Entry, work: PendingWork) -> None:
        """The other thread has done ``work``, or never will. Never raises."""
        try:
            if entry.pending_done(work):
                self._end(entry)
        except Exception as error:
            log.failed("closing a recording", error)

    def begin_startup(self, tracer: Tracer) -> None:
        """Record, apart from all entries, what runs before the first of them. Never raises.

        Args:
            tracer: makes the span of it.
        """
        try:
            self._startup = Startup(self._open_engine(), self.settings, tracer)
            # the provider's shutdown was registered earlier, so it runs later
            atexit.register(self.end_startup, began=False)
        except Exception as error:
            log.failed("beginning to record the start of the process", error)

    def end_startup(self, *, began: bool = True) -> None:
        """The first request or job begins, traced or not, or the process ends. Never raises; later calls do nothing.

        Args:
            began: whether a request or job begins. Without any, a process that executed nothing of the application's
                sends nothing; else it sends that it has.
        """
        startup = self._startup
        if startup is None:
            return
        try:
            startup.end()
            self._startup = None
            startup.send(if_empty=began)
        except Exception as error:
            log.failed("recording the start of the process", error)

    def stop_startup(self) -> None:
        """The first job comes, here or in a child, which sends the start with it. Never raises."""
        if self._startup is not None:
            try:
                self._startup.end()
            except Exception as error:
                log.failed("recording the start of the process", error)

    @property
    def is_recording(self) -> bool:
        """Whether any entry is open in this process."""
        return bool(self._open)

    def flush_partial(self) -> None:
        """Write what ran until now of all open entries. Never raises."""
        for entry in list(self._open):
            self._flush_partial_of(entry)

    def report(self, *, only_dropped: bool = False) -> None:
        """Report how many entries this process has numbered, see :mod:`~otel_coverage.tracing.tally`. Never raises.

        One that has performed a single job reports only what it has lost: the job's call says that there is one.
        """
        if self.tracer is not None:
            tally.report(self.tracer, only_dropped=only_dropped or not self._serves)

    def end_process(self) -> None:
        """Write what is not written yet: the process is about to end, and its spans to be sent. Never raises."""
        self.drain()
        for entry in list(self._open):
            if entry.is_span_held:
                self._force_close(entry, "as the process ended")
            else:
                self._flush_partial_of(entry)
        self.report()

    def drain(self) -> None:
        """Close the entries that wait for pending work: the process is about to end. Never raises."""
        for entry in list(self._draining):
            self._force_close(entry, "as the process ended")

    def runs_application(self, work: PendingWork) -> bool:
        """Whether the work is known to run the application's code; what it has not called yet is not."""
        return self._tree is not None and work.runs(self.is_application)

    def is_application(self, filename: str) -> bool:
        """Whether code of that file is recorded. False before the first entry has opened."""
        try:
            return self._tree is not None and self._tree.locate(filename) is not None
        except (OSError, ValueError):  # a code object's file name may be any text
            return False

    def symbol(self, code: CodeType, qualname: str) -> str:
        """The symbol of a function of the application; empty where the code is not the application's.

        Raises:
            ConfigurationError: a setting that says where the source is cannot be used.
        """
        tree = self._tree
        if tree is None:
            with self._lock:
                tree = self._tree = self._tree or SourceTree.of(self.settings, self._folder)
        try:
            file = tree.locate(code.co_filename)
        except (OSError, ValueError):  # a code object's file name may be any text
            return ""
        symbol = None if file is None else symbol_of(code, file, qualname)
        return "" if symbol is None else encodable(symbol)

    def prepare(self) -> None:
        """Load what the first entry needs, so that children forked for one entry each have it. Never raises."""
        try:
            self._open_engine()  # hooks nothing yet
            self._locate_modules()
            code_revision.check(files=False)
            if self._startup is not None:
                self._startup.hand_over()
        except Exception as error:
            log.failed("preparing to record", error)

    def _locate_modules(self) -> None:
        """Look up the files of what has been imported, most of which are not an application's."""
        if len(sys.modules) == self._located_modules:
            return
        self._located_modules = len(sys.modules)
        for module in list(sys.modules.values()):
            filename = getattr(module, "__file__", None)
            if isinstance(filename, str):
                self.is_application(filename)

    def shutdown(self) -> None:
        """Unhook everything from the interpreter. The next entry opens the engine anew."""
        self.end_startup(began=False)
        self.drain()
        atexit.unregister(self.end_process)
        self._ends_at_exit = False
        if self._flusher is not None:
            self._flusher.stop(JOIN_SECONDS)
        with self._lock:
            engine, self._engine = self._engine, None
            self._flusher = None
        if engine is not None:
            engine.close()

    def _open_engine(self) -> Engine:
        engine = self._engine
        if engine is None:
            with self._lock:
                engine = self._engine
                if engine is None:
                    self._tree = tree = self._tree or SourceTree.of(self.settings, self._folder)
                    engine = self._engine = open_engine(
                        self.settings.engine,
                        self.settings.granularity,
                        tree,
                        current_recording(),
                        branch=wants_branches(self.settings.rcfile),
                        named_by=self.settings.origin("engine"),
                    )
        return engine

    def _force_close(self, entry: Entry, when: str) -> None:
        """End an entry that has pending work; incomplete where some of that is known to run the application's code."""
        try:
            outlives = next((work for work in entry.pending_work if self.runs_application(work)), None)
            if outlives is not None:
                entry.mark_incomplete("thread_outlived", f"a {outlives.kind} that it started was still running {when}")
            self._end(entry)
        except Exception as error:
            log.failed("closing a recording", error)

    def _end(self, entry: Entry) -> None:
        self._open.discard(entry)
        self._draining.discard(entry)
        if not entry.end():
            return
        engine = self._engine
        started = metrics.start()
        try:
            if engine is not None and entry.recording is not None:
                engine.end(entry.recording)
        finally:
            entry.finish()
            metrics.spent("end", started)

    def _start_flusher(self) -> None:
        with self._lock:
            if self._flusher is not None:
                return
            self._flusher = flusher = Flusher(self._seconds_until_due, self._flush_due)
        try:
            flusher.start()  # not under the lock: under gevent, other greenlets may run meanwhile
        except RuntimeError:
            self._flusher = None
            raise

    @staticmethod
    def _flush_partial_of(entry: Entry) -> None:
        try:
            entry.writer.write_parts(partial=True)
        except Exception as error:
            log.failed("writing a partial set", error)

    def _seconds_until_due(self) -> float:
        """Until something is to be done for an entry that is open now; what opens meanwhile is due later."""
        most = min(self.settings.partial_interval or DRAIN_SECONDS, DRAIN_SECONDS)
        due = min((entry.due for entry in list(self._open)), default=math.inf)
        return min(max(due - time.monotonic(), 0.0), most)

    def _flush_due(self) -> None:
        now, is_written = time.monotonic(), False
        for entry in [entry for entry in list(self._open) if entry.due <= now]:
            entry.due = now + (self.settings.partial_interval or math.inf)
            if entry in self._draining:
                self._force_close(entry, f"more than {DRAIN_SECONDS:g} s after it")
            elif entry.is_span_held:
                self._release_span_of(entry)
            else:
                self._flush_partial_of(entry)
                is_written = True
        self.report()
        if is_written:
            self.flush(FLUSH_SECONDS)

    @staticmethod
    def _release_span_of(entry: Entry) -> None:
        try:
            entry.release_span()
        except Exception as error:
            log.failed("ending a span", error)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self.has_traced = False
        self._entries, self._serves = 0, False
        for entry in self._open:
            entry.disown()
        self._open, self._draining = set(), set()
        self._flusher = None
        if self._startup is not None and not self._startup.after_fork_in_child():
            self._startup = None


_installed: Recorder | None = None


def install(settings: Settings) -> Recorder:
    """The process's recorder, made with ``settings`` if there is none yet.

    Raises:
        ConfigurationError: there is one with other settings.
    """
    global _installed
    if _installed is None:
        _installed = Recorder(settings)
    elif _installed.settings != settings:
        raise ConfigurationError(
            f"this process records with {_installed.settings!r} already, it cannot with {settings!r}, too; "
            "instrument it once"
        )
    return _installed


def installed() -> Recorder | None:
    """The process's recorder, or None where nothing is recorded."""
    return _installed


def end_startup() -> None:
    """The first request or job begins: see :meth:`Recorder.end_startup`."""
    if _installed is not None:
        _installed.end_startup()


def uninstall() -> None:
    """Shut the process's recorder down and forget it."""
    global _installed
    recorder, _installed = _installed, None
    if recorder is not None:
        recorder.shutdown()
