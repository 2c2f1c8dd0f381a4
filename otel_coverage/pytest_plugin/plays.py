"""Profiles as a test session plays them: the headers of their requests, and the spans that say what is to arrive."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_coverage.playback.player import OUTCOME, STEPS
from otel_coverage.pytest_plugin.targets import Origin
from otel_coverage.settings import Settings
from otel_coverage.tracing.attributes import ROLE
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.playback import PROFILE, RUN_ID, TRACED_HEADER, Playback

BAGGAGE, TRACEPARENT = "baggage", "traceparent"


@dataclass(slots=True)
class Run:
    """What the profiles of a session have in common.

    Attributes:
        run_id: its id.
        settings: the token that signs the baggage, if there is one.
        tracer: for the spans of the playback.
        named: whether the user has named the application's hosts: each answer of theirs has to be traced then.
        traced: origins that have answered as a traced application does.
        untraced: origins that never did, with the number of their answers.
    """

    run_id: str
    settings: Settings
    tracer: Tracer
    named: bool = False
    traced: set[Origin] = field(default_factory=set)
    untraced: dict[Origin, int] = field(default_factory=dict)


class Play:
    """A profile that a test, several, or a fixture play. Safe to use from any thread.

    Requests count that the application has to answer with coverage: to hosts that the user named, and to those that
    have answered as a traced application does. Others are not part of the workflow: a browser's driver, a store.

    Args:
        run: the session's.
        slug: of the profile.

    Attributes:
        slug: of the profile.
        requests: how many count.
        answered: how many were answered, whether they count or not.
        traced: how many of those as traced ones are.
        failed: whether it failed; then it does not show what the profile leaves unexecuted.
        is_reported: whether it was said that it is played.
    """

    def __init__(self, run: Run, slug: str) -> None:
        self.slug = slug
        self.requests = self.answered = self.traced = 0
        self.failed = False
        self._run = run
        self._began = time.time_ns()
        self._root: Span | None = None
        self._planned: int | None = None  # steps that are said to be planned
        self._has_called = False
        self.is_reported = False
        self._open: set[Call] = set()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    @property
    def is_ours(self) -> bool:
        """Whether it is played in this process: a forked child is somebody else."""
        return self._pid == os.getpid()

    def call(
        self,
        method: str,
        url: str,
        origin: Origin | None,
        *,
        is_expected: bool = False,
        may_vanish: bool = False,
        is_continued: bool = False,
    ) -> Call:
        """A request that is about to be sent.

        Args:
            method: in upper case.
            url: without what may be secret.
            origin: where it goes; None for an application in this process.
            is_expected: whether it counts, whatever is known of its origin.
            may_vanish: whether nobody says so where it is not sent after all, as when a browser leaves the page.
            is_continued: whether it is part of a trace already, whose span is the parent of what answers: it does not
                count.
        """
        with self._lock:
            root = self._start()
            attributes = {**self._identity(), ROLE: "client", "http.request.method": method, "url.full": url}
            span = self._run.tracer.start_span(
                method, trace.set_span_in_context(root, Context()), SpanKind.CLIENT, attributes
            )
            call = Call(self, span, origin, is_expected or self._run.named, may_vanish, is_continued)
            self._open.add(call)
            return call

    @property
    def has_called(self) -> bool:
        """Whether it made any request that named it and was sent, as far as that is known."""
        return self._has_called

    def give_headers(self) -> dict[str, str]:
        """The headers, for requests that nobody counts; how it went is said all the same."""
        with self._lock:
            self._start()
            self._plan(0)
            self._has_called = True
        return self.headers()

    def headers(self, span: Span | None = None) -> dict[str, str]:
        """The headers of its requests.

        Args:
            span: of the request; None where several requests are to have the same headers.
        """
        context = Context() if span is None else trace.set_span_in_context(span, Context())
        context = with_playback(context, Playback(self.slug, self._run.run_id), self._run.settings)
        found: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(found, context)
        W3CBaggagePropagator().inject(found, context)
        return found

    def _note_answer(self, origin: Origin | None, is_traced: bool) -> None:
        with self._lock:
            self.answered += 1
            self.traced += is_traced
            if origin is None:
                return
            if is_traced:
                self._run.traced.add(origin)
                self._run.untraced.pop(origin, None)
            elif origin not in self._run.traced:
                self._run.untraced[origin] = self._run.untraced.get(origin, 0) + 1

    def finish(self) -> None:
        """End the spans that say how it went. Requests without an answer end with it."""
        with self._lock:
            left = list(self._open)
        for call in left:
            call.drop() if call.may_vanish else call.fail("the test ended before it was answered")
        with self._lock:
            if self._planned is None or self._root is None:
                return
            if self.failed:
                self._root.set_status(StatusCode.ERROR, "the test failed")
            self._root.set_attribute(OUTCOME, "failed" if self.failed else "passed")
            self._root.end()
            self._tell("played", self.requests)
            self._root = self._planned = None

    def _end(self, call: Call, is_sent: bool) -> None:
        with self._lock:
            if call not in self._open:
                return
            self._open.remove(call)
            self._has_called = self._has_called or is_sent
            if not is_sent or not (call.is_expected or call.origin in self._run.traced):
                return  # nothing is to arrive of it
            if call.is_continued:
                self._plan(0)
                return
            self._plan(1)  # a test does not say how many; the first one is known
            self.requests += 1
            call.span.end()

    def _start(self) -> Span:
        if self._root is None:
            self._root = self._run.tracer.start_span(
                f"playback {self.slug}", Context(), attributes=self._identity(), start_time=self._began
            )
        return self._root

    def _plan(self, steps: int) -> None:
        if self._planned is None or self._planned < steps:
            self._planned, self.is_reported = steps, True
            self._tell("plan", steps)

    def _tell(self, role: str, steps: int) -> None:
        attributes = {**self._identity(), ROLE: role, STEPS: steps}
        self._run.tracer.start_span(f"{role} {self.slug}", Context(), attributes=attributes).end()

    def _identity(self) -> dict[str, str | int]:
        return {PROFILE: self.slug, RUN_ID: self._run.run_id}


class Call:
    """A request of a play, from before it is sent until its answer.

    Attributes:
        span: its CLIENT span.
        origin: where it goes; None for an application in this process.
        is_expected: whether it counts, whatever is known of its origin.
        may_vanish: whether nobody says so where it is not sent after all.
        is_continued: whether it is part of a trace already, and does not count.
    """

    __slots__ = ("_play", "is_continued", "is_expected", "may_vanish", "origin", "span")

    def __init__(
        self,
        play: Play,
        span: Span,
        origin: Origin | None,
        is_expected: bool,
        may_vanish: bool,
        is_continued: bool,
    ) -> None:
        self._play = play
        self.is_continued = is_continued
        self.may_vanish = may_vanish
        self.span = span
        self.origin = origin
        self.is_expected = is_expected

    def headers(self) -> dict[str, str]:
        """Those that it is to be sent with."""
        return self._play.headers(None if self.is_continued else self.span)

    def answer(self, status: int, traced: str | None) -> None:
        """It was answered.

        Args:
            status: of HTTP.
            traced: the answer's header ``X-Profile-Traced``.
        """
        self.span.set_attribute("http.response.status_code", status)
        if status >= 400:
            self.span.set_status(StatusCode.ERROR)
        self._play._note_answer(self.origin, traced == self._play.slug)
        self._play._end(self, is_sent=True)

    def fail(self, reason: str) -> None:
        """It was sent, and not answered."""
        self.span.set_status(StatusCode.ERROR, reason)
        self._play._end(self, is_sent=True)

    def drop(self) -> None:
        """It was not sent: nothing of it can arrive."""
        self._play._end(self, is_sent=False)


class Stage:
    """Which profile plays in this process now. Tests take turns, so that all threads play the same one."""

    def __init__(self) -> None:
        self._plays: list[Play | None] = []

    def enter(self, play: Play | None) -> None:
        """Have it play until :meth:`leave`; None for no profile."""
        self._plays.append(play)

    def leave(self) -> None:
        """Have the one before play again."""
        with suppress(IndexError):
            self._plays.pop()

    @property
    def current(self) -> Play | None:
        """The profile that plays."""
        play = self._plays[-1] if self._plays else None
        return play if play is not None and play.is_ours else None


def merged(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """The headers to add to a request: beside the baggage that it has. A trace that it continues gives way."""
    baggage = theirs.get(BAGGAGE)
    return dict(ours) | ({BAGGAGE: f"{ours[BAGGAGE]},{baggage}"} if baggage else {})


def names_itself(headers: Mapping[str, str]) -> bool:
    """Whether a request, by its headers in lower case, names a profile by itself."""
    return "playback." in headers.get(BAGGAGE, "") or "x-profile-trace" in headers


__all__ = ["BAGGAGE", "TRACED_HEADER", "TRACEPARENT", "Call", "Play", "Run", "Stage", "merged", "names_itself"]
