"""The process's one recorder: opens the engine at the first traced request, and recordings from then on."""

from __future__ import annotations

import atexit
import os
import threading

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from otel_coverage.coveragepy import wants_branches
from otel_coverage.errors import ConfigurationError
from otel_coverage.recording import Engine, Incomplete, Recording, open_engine
from otel_coverage.settings import Settings
from otel_coverage.source import SourceTree
from otel_coverage.tracing.context import current_recording
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.pending import PendingWork
from otel_coverage.tracing.playback import Playback

JOIN_SECONDS = 5.0
PARTIAL_SECONDS = 30.0  # how long something runs until what it has executed so far is sent


class Recorder:
    """Opens and closes entries. Nothing is hooked into the interpreter before the first one opens.

    What takes long is told of in parts: a job that is killed loses no more than its last half minute.

    Args:
        settings: what to record, and for whom.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._folder = os.getcwd()
        self._engine: Engine | None = None
        self._tree: SourceTree | None = None
        self._open: set[Entry] = set()
        self._draining: set[Entry] = set()  # those that wait for their pending_work alone
        self._drains_at_exit = False
        self._watch: threading.Thread | None = None
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._after_fork)

    def open(self, playback: Playback, kind: SpanKind) -> Entry:
        """Begin to record. Never raises: an entry without a recording says on its span why it has none."""
        try:
            recording, failure = self._open_engine().begin(), None
        except Exception as error:
            log.failed("opening a recording", error)
            recording, failure = None, Incomplete("engine_failed", f"no recording could be opened: {error}")
        entry = Entry(playback, kind, recording, failure)
        try:
            self._open.add(entry)
            if self._watch is None:
                self._start_watch()
        except Exception as error:  # the system may have no thread left
            log.failed("watching what grows", error)
        return entry

    def close(self, entry: Entry) -> None:
        """End the entry's recording and write what is left of it. Never raises; closing twice is fine.

        Where other threads still do something for it, what ran until now is written, and the rest once they are done,
        or after half a minute or so: a thread that lives as long as the process belongs to nobody in the long run.
        """
        try:
            if entry.main_work_done():
                self._close(entry)
            elif entry.recording is None or not entry.recording.follows_contexts:
                self._force_close(entry, "as it ended, and its engine cannot follow both")
            else:
                if not self._drains_at_exit:
                    self._drains_at_exit = True
                    atexit.register(self.drain)  # runs before the provider's shutdown, which was registered earlier
                self._draining.add(entry)
                entry.flush_partial()
                if not entry.is_open:  # the last work was done just now
                    self._draining.discard(entry)
        except Exception as error:
            log.failed("closing a recording", error)

    def add_pending(self, entry: Entry, work: PendingWork) -> None:
        """Another thread is to do something for the entry, which waits for it. Never raises; sending twice is fine."""
        try:
            if entry.add_pending(work):
                return
            if self.runs_application(work):
                entry.mark_incomplete("thread_late", "a thread did something for it that it had not begun in time")
        except Exception as error:
            log.failed("following a thread", error)

    def pending_done(self, entry: Entry, work: PendingWork) -> None:
        """What another thread did for the entry is done. Never raises."""
        try:
            if entry.pending_done(work):
                self._close(entry)
        except Exception as error:
            log.failed("closing a recording", error)

    @property
    def is_recording(self) -> bool:
        """Whether anything is open in this process."""
        return bool(self._open)

    def flush_partial(self) -> None:
        """Write what ran until now of all that is open. Never raises."""
        for entry in list(self._open):
            self._flush_partial_of(entry)

    def drain(self) -> None:
        """The process is about to end: whoever still does something for an entry will be heard of no more."""
        for entry in list(self._draining):
            self._force_close(entry, "as the process ended")

    def runs_application(self, work: PendingWork) -> bool:
        """Whether the work is one of the application's code, as far as that can be seen now."""
        return self._tree is not None and work.runs(self._is_wanted)

    def prepare(self) -> None:
        """Load what the first entry needs, so that children forked for one entry each have it. Never raises."""
        try:
            self._open_engine()  # hooks nothing yet
        except Exception as error:
            log.failed("preparing to record", error)

    def shutdown(self) -> None:
        """Give everything back to the interpreter. The next entry would open the engine anew."""
        self.drain()
        self._is_over.set()
        if self._watch is not None:
            self._watch.join(JOIN_SECONDS)
        with self._lock:
            engine, self._engine = self._engine, None
            self._watch, self._is_over = None, threading.Event()
        if engine is not None:
            engine.close()

    def _open_engine(self) -> Engine:
        engine = self._engine
        if engine is None:
            with self._lock:
                engine = self._engine
                if engine is None:
                    self._tree = tree = SourceTree.from_rcfile(
                        self.settings.source or (self._folder,), self.settings.rcfile
                    )
                    engine = self._engine = open_engine(
                        self.settings.engine,
                        self.settings.granularity,
                        tree,
                        current_recording(),
                        branch=wants_branches(self.settings.rcfile),
                    )
        return engine

    def _is_wanted(self, filename: str) -> bool:
        try:
            return self._tree is not None and self._tree.locate(filename) is not None
        except (OSError, ValueError):  # code may be called anything
            return False

    def _force_close(self, entry: Entry, when: str) -> None:
        """Close an entry while others still do something for it; incomplete where that is known to be its own code."""
        try:
            if any(self.runs_application(work) for work in entry.pending_work):
                entry.mark_incomplete("thread_outlived", f"a thread that it started was still running {when}")
            self._close(entry)
        except Exception as error:
            log.failed("closing a recording", error)

    def _close(self, entry: Entry) -> None:
        self._open.discard(entry)
        self._draining.discard(entry)
        entry.close(self._end)

    def _end(self, recording: Recording) -> None:
        engine = self._engine
        if engine is not None:
            engine.end(recording)

    def _start_watch(self) -> None:
        with self._lock:
            if self._watch is not None:
                return
            self._watch = watch = threading.Thread(
                target=self._flush_periodically, args=(self._is_over,), name="otel-coverage-growth", daemon=True
            )
        token = otel_context.attach(Context())  # the thread is to belong to nobody
        try:
            watch.start()  # not under the lock: under gevent, other greenlets run meanwhile
        except RuntimeError:
            self._watch = None
            raise
        finally:
            otel_context.detach(token)

    @staticmethod
    def _flush_partial_of(entry: Entry) -> None:
        try:
            entry.flush_partial()
        except Exception as error:
            log.failed("writing a partial set", error)

    def _flush_periodically(self, is_over: threading.Event) -> None:
        told_next: set[Entry] = set()
        cut_next: set[Entry] = set()
        while not is_over.wait(PARTIAL_SECONDS):
            for entry in cut_next & self._draining:
                self._force_close(entry, f"more than {PARTIAL_SECONDS:g} s after it")
            cut_next = set(self._draining)
            for entry in told_next:
                self._flush_partial_of(entry)
            told_next = set(self._open)  # open now; told if they still are in half a minute

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._open, self._draining = set(), set()
        self._watch = None


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


def uninstall() -> None:
    """Shut the process's recorder down and forget it."""
    global _installed
    recorder, _installed = _installed, None
    if recorder is not None:
        recorder.shutdown()
