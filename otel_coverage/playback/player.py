"""The player: a profile's steps as HTTP requests, in one trace of their own."""

from __future__ import annotations

import mimetypes
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_coverage import __version__
from otel_coverage.playback import places
from otel_coverage.playback.jobs import JobError, JobStatus, job_id_of
from otel_coverage.playback.outcome import Outcome
from otel_coverage.playback.profile import NO_BODY, Profile, Step
from otel_coverage.settings import Settings
from otel_coverage.tracing.attributes import ROLE
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.playback import PROFILE, RUN_ID, Playback

OUTCOME = "playback.outcome"
REQUEST_TIMEOUT = 60.0

_SAFE = ("GET", "HEAD", "OPTIONS")


class StepError(Exception):
    """A step was answered otherwise than it should have been."""


@dataclass(frozen=True, slots=True)
class Player:
    """Plays profiles against one application; safe to use from many threads at once.

    Attributes:
        base_url: address of the application, without a slash at its end.
        run_id: the run that everything belongs to.
        tracer: makes the playback's own spans.
        settings: the token, if slugs have to be vouched for.
        job_status: where the application tells how far a job is.
        stopped: once set, no further request is sent.
    """

    base_url: str
    run_id: str
    tracer: trace.Tracer
    settings: Settings = field(default_factory=Settings)
    job_status: JobStatus = field(default_factory=JobStatus)
    stopped: threading.Event = field(default_factory=threading.Event)

    def play(self, profile: Profile, on_step: Callable[[], None] = lambda: None) -> Outcome:
        """Play a profile from its first step to its last, or to the one that fails.

        Args:
            profile: what to play.
            on_step: called after each step.
        """
        session = _Session(self, profile)
        began = time.monotonic()
        failure: str | None = None
        with self.tracer.start_as_current_span(
            f"playback {profile.slug}", context=Context(), attributes=session.identity
        ) as root:
            try:
                session.play(on_step)
            except (StepError, JobError, httpx.HTTPError, OSError) as error:
                failure = f"{session.where}: {error}" if session.where else str(error)
                root.set_status(trace.StatusCode.ERROR, failure)
            root.set_attribute(OUTCOME, "passed" if failure is None else "failed")
        return Outcome(
            profile=profile.slug,
            run_id=self.run_id,
            run=session.values["run"],
            requests=session.answered,
            jobs=session.waited,
            seconds=time.monotonic() - began,
            failure=failure,
        )


class _Session:
    """One profile while it is played."""

    def __init__(self, player: Player, profile: Profile) -> None:
        self.player = player
        self.profile = profile
        self.identity = {PROFILE: profile.slug, RUN_ID: player.run_id}
        self.values: dict[str, Any] = {"run": _fresh_run(profile.slug)}
        self.pending: list[str] = []
        self.answered = self.waited = 0
        self.where = ""

    def play(self, on_step: Callable[[], None]) -> None:
        headers = {"User-Agent": f"otel-coverage/{__version__}"}
        with httpx.Client(follow_redirects=True, timeout=REQUEST_TIMEOUT, headers=headers) as client:
            for step in self.profile.steps:
                if self.player.stopped.is_set():
                    raise StepError("interrupted")
                self.where = f"{self.profile.origin}: line {step.line}: {step.method} {step.path}"
                if step.method in _SAFE:
                    self._wait_for_jobs(client)
                self._take(step, self._send(client, step))
                on_step()
            self.where = str(self.profile.origin)
            self._wait_for_jobs(client)

    def _send(self, client: httpx.Client, step: Step) -> httpx.Response:
        """One request in a span of its own, with the trace and the profile on board."""
        player = self.player
        url = player.base_url + places.filled_path(step.path, self.values)
        attributes = {**self.identity, ROLE: "client", "http.request.method": step.method, "url.full": url}
        with player.tracer.start_as_current_span(
            step.method, kind=trace.SpanKind.CLIENT, attributes=attributes
        ) as span:
            headers = dict(places.filled(step.headers, self.values))
            context = with_playback(
                trace.set_span_in_context(span, Context()), Playback(self.profile.slug, player.run_id), player.settings
            )
            TraceContextTextMapPropagator().inject(headers, context)
            W3CBaggagePropagator().inject(headers, context)
            response = client.request(step.method, url, headers=headers, **self._body(step))
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= 400:
                span.set_status(trace.StatusCode.ERROR)
        self.answered += 1
        return response

    def _body(self, step: Step) -> dict[str, Any]:
        if step.json is not NO_BODY:
            return {"json": places.filled(step.json, self.values)}
        if step.uploads:
            files = {
                upload.field: (upload.path.name, upload.path.read_bytes(), mimetypes.guess_type(upload.path.name)[0])
                for upload in step.uploads
            }
            return {"files": files, "data": places.filled(step.form, self.values)}
        return {"data": places.filled(step.form, self.values)} if step.form else {}

    def _take(self, step: Step, response: httpx.Response) -> None:
        """Check the answer, and keep what later steps need of it."""
        expected = step.status if step.status is not None else "below 400"
        good = response.status_code == step.status if step.status is not None else response.status_code < 400
        if not good:
            raise StepError(f"answered {response.status_code} instead of {expected}: {_excerpt(response)}")
        for name, pointer in step.captures.items():
            self.values[name] = _pointed(response, pointer)
        job_id = job_id_of(response) if step.method not in _SAFE and self.player.job_status.path else None
        if job_id is not None:
            self.pending.append(job_id)

    def _wait_for_jobs(self, client: httpx.Client) -> None:
        while self.pending:
            self.player.job_status.wait(client, self.player.base_url, self.pending[0], self.player.stopped)
            self.pending.pop(0)
            self.waited += 1


def _fresh_run(slug: str) -> str:
    """A name that no run had before, fit for a path and for most rules about names."""
    readable = slug.replace(".", "-").replace("_", "-")[:40].strip("-")
    return f"{readable}-{uuid.uuid4().hex[:8]}"


def _pointed(response: httpx.Response, pointer: str) -> Any:
    """What a JSON pointer finds in an answer."""
    try:
        value = response.json()
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            value = value[int(key)] if isinstance(value, list) else value[key]
    except (ValueError, KeyError, IndexError, TypeError):
        raise StepError(f"nothing at {pointer!r} in the answer: {_excerpt(response)}") from None
    return value


def _excerpt(response: httpx.Response) -> str:
    return " ".join(response.text[:200].split()) or "empty"
