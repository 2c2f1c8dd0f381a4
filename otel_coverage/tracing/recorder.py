"""The process's one recorder: opens and closes entries, and keeps the engine that records them."""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import AbstractContextManager, nullcontext

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from otel_coverage.coveragepy import wants_branches
from otel_coverage.errors import ConfigurationError
from otel_coverage.recording import Engine, Incomplete, open_engine
from otel_coverage.settings import Settings
from otel_coverage.source import SourceTree
from otel_coverage.tracing.context import current_recording
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.pending import PendingWork
from otel_coverage.tracing.playback import Playback

JOIN_SECONDS = 5.0
PARTIAL_SECONDS = 30.0


class Recorder:
    """Opens and closes entries. Nothing is hooked into the interpreter before the first one opens.

    What runs longer than ``PARTIAL_SECONDS`` is written in parts meanwhile: a job that is killed loses what it executed
    in its last half minute or so, not more.

    Args:
        settings: what to record.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._folder = os.getcwd()
        self._engine: Engine | None = None
        self._tree: SourceTree | None = None
        self._open: set[Entry] = set()
        self._draining: set[Entry] = set()  # those of the open ones that only wait for pending work
        self._drains_at_exit = False
        self._flusher: threading.Thread | None = None
        self._is_shut_down = threading.Event()
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._after_fork)

    def open(self, playback: Playback, kind: SpanKind, failure: Incomplete | None = None) -> Entry:
        """Begin to record. Never raises: an entry without a recording says on its span why it has none.

        Args:
            playback: whose work it is.
            kind: the kind of span that will be the entry span.
            failure: why nothing can be recorded; None to try.
        """
        recording = None
        try:
            recording = self._open_engine().begin() if failure is None else None
        except Exception as error:
            log.failed("opening a recording", error)
            failure = Incomplete("engine_failed", f"no recording could be opened: {error}")
        entry = Entry(playback, kind, recording, failure, self.settings)
        try:
            self._open.add(entry)
            if self._flusher is None:
                self._start_flusher()
        except Exception as error:  # the system may have no thread left
            log.failed("starting to write partial sets", error)
        return entry

    def close(self, entry: Entry) -> None:
        """The entry's main work is done. Never raises; closing twice is fine.

        Without pending work the recording ends, and what is left of it is written. Else what ran until now is written,
        and the rest once that work is done, or after ``PARTIAL_SECONDS`` to twice as long: a thread that lives as long
        as the process belongs to no request in the long run.
        """
        try:
            if entry.main_work_done():
                self._end(entry)
            elif entry.recording is None or not entry.recording.follows_contexts:
                self._force_close(entry, "as it ended, and its engine cannot follow both")
            else:
                if not self._drains_at_exit:
                    self._drains_at_exit = True
                    atexit.register(self.drain)  # runs before the provider's shutdown, which was registered earlier
                self._draining.add(entry)
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

    @property
    def is_recording(self) -> bool:
        """Whether any entry is open in this process."""
        return bool(self._open)

    def flush_partial(self) -> None:
        """Write what ran until now of all open entries. Never raises."""
        for entry in list(self._open):
            self._flush_partial_of(entry)

    def drain(self) -> None:
        """Close the entries that wait for pending work: the process is about to end. Never raises."""
        for entry in list(self._draining):
            self._force_close(entry, "as the process ended")

    def runs_application(self, work: PendingWork) -> bool:
        """Whether the work is known to run the application's code; what it has not called yet is not."""
        return self._tree is not None and work.runs(self._should_trace)

    def prepare(self) -> None:
        """Load what the first entry needs, so that children forked for one entry each have it. Never raises."""
        try:
            self._open_engine()  # hooks nothing yet
        except Exception as error:
            log.failed("preparing to record", error)

    def shutdown(self) -> None:
        """Unhook everything from the interpreter. The next entry opens the engine anew."""
        self.drain()
        self._is_shut_down.set()
        if self._flusher is not None:
            self._flusher.join(JOIN_SECONDS)
        with self._lock:
            engine, self._engine = self._engine, None
            self._flusher, self._is_shut_down = None, threading.Event()
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

    def _should_trace(self, filename: str) -> bool:
        try:
            return self._tree is not None and self._tree.locate(filename) is not None
        except (OSError, ValueError):  # a code object's file name may be any text
            return False

    def _force_close(self, entry: Entry, when: str) -> None:
        """End an entry that has pending work; incomplete where some of that is known to run the application's code."""
        try:
            if any(self.runs_application(work) for work in entry.pending_work):
                entry.mark_incomplete("thread_outlived", f"a thread that it started was still running {when}")
            self._end(entry)
        except Exception as error:
            log.failed("closing a recording", error)

    def _end(self, entry: Entry) -> None:
        self._open.discard(entry)
        self._draining.discard(entry)
        if not entry.end():
            return
        engine = self._engine
        if engine is not None and entry.recording is not None:
            engine.end(entry.recording)
        entry.writer.write_parts()

    def _start_flusher(self) -> None:
        with self._lock:
            if self._flusher is not None:
                return
            self._flusher = flusher = threading.Thread(
                target=self._flush_periodically, args=(self._is_shut_down,), name="otel-coverage-flusher", daemon=True
            )
        token = otel_context.attach(Context())  # the thread belongs to no request
        try:
            flusher.start()  # not under the lock: under gevent, other greenlets run meanwhile
        except RuntimeError:
            self._flusher = None
            raise
        finally:
            otel_context.detach(token)

    @staticmethod
    def _flush_partial_of(entry: Entry) -> None:
        try:
            entry.writer.write_parts()
        except Exception as error:
            log.failed("writing a partial set", error)

    def _flush_periodically(self, is_shut_down: threading.Event) -> None:
        were_open: set[Entry] = set()
        were_draining: set[Entry] = set()
        while not is_shut_down.wait(PARTIAL_SECONDS):
            for entry in were_draining & self._draining:
                self._force_close(entry, f"more than {PARTIAL_SECONDS:g} s after it")
            were_draining = set(self._draining)
            for entry in were_open & self._open:
                self._flush_partial_of(entry)
            were_open = set(self._open)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._is_shut_down = threading.Event()
        self._open, self._draining = set(), set()
        self._flusher = None


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
