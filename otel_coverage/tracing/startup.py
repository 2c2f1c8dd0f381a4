"""What a process executes before its first request or job: recorded apart from all profiles, and sent once."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Tracer

from otel_coverage.recording import Engine, Executed, Recording
from otel_coverage.settings import Settings
from otel_coverage.tracing.context import RECORDING, awaiting_span, with_entry
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.playback import STARTUP

ROLE = "startup"


class Startup:
    """Imports, application factories, and whatever else runs first. Safe to use from any thread.

    A forked child begins with what its parent had executed, and goes on: a server that imports the application before
    it forks its workers, and one that forks first, come to the same. Nothing is sent, and no thread started, before the
    first request or the exit of the process.

    Args:
        engine: records it; no other recording may be open.
        settings: of the process.
        tracer: makes its span.
    """

    def __init__(self, engine: Engine, settings: Settings, tracer: Tracer) -> None:
        self._recording = _StartupRecording(engine)
        # it is about functions: which lines run at start, nobody asks
        self._entry = Entry(
            STARTUP, SpanKind.INTERNAL, self._recording, None, replace(settings, granularity="function"), role=ROLE
        )
        self._settings = settings
        self._tracer = tracer
        self._is_open = True
        self._is_sent = False
        self._heirs = 0
        self._lock = threading.RLock()  # a signal handler may interrupt `end` and begin an entry

    def end(self) -> None:
        """Stop to record. When this returns, in any thread, nothing more is recorded here."""
        with self._lock:
            if self._is_open:
                self._recording.end()
                self._is_open = False

    def send(self, *, if_empty: bool) -> None:
        """Write what was executed on a span, once in a process.

        Args:
            if_empty: also where none of it is the application's, so that it is known that nothing of it runs at start.
        """
        with self._lock:
            if self._is_sent:
                return
            self._is_sent = True
        if not if_empty and not self._recording.executed():
            return
        token = otel_context.attach(with_entry(Context(), self._entry, self._settings))
        try:
            with awaiting_span(self._entry):
                span = self._tracer.start_span(
                    ROLE, attributes={"process.pid": os.getpid()}, start_time=self._entry.opened
                )
            self._entry.end()
            self._entry.writer.close()
            span.end()
        finally:
            otel_context.detach(token)

    def hand_over(self) -> None:
        """Stop to record; the child that is forked next sends it.

        For processes that fork a child for each job. They send it, too, but not before they exit: a child that were
        forked beside a connection might hang.
        """
        self.end()
        self._heirs += 1

    def after_fork_in_child(self) -> bool:
        """Go on in a forked child. Returns whether there is anything left for it to do."""
        self._lock = threading.RLock()
        if self._is_open:
            self._recording.begin()
            return True
        return self._heirs == 1


class _StartupRecording(Recording):
    """The recording of this process, after those of the processes that it was forked from."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._recordings: list[Recording] = []
        self.begin()

    def begin(self) -> None:
        """Record what runs in the current context and in those that come from it."""
        recording = self._engine.begin()
        recording.survives_fork = True
        self._recordings.append(recording)
        self.engine_name = recording.engine_name
        otel_context.attach(
            otel_context.set_value(RECORDING, recording)
        )  # as long as the process: no traced code is in it

    def end(self) -> None:
        """Record no more."""
        self._engine.end(self._recordings[-1])

    def executed(self) -> Executed:
        """The functions; no lines."""
        return Executed(frozenset().union(*(recording.executed().functions for recording in self._recordings)))
