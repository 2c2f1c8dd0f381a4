"""Plays a profile: its steps as HTTP requests, in a trace of its own."""

from __future__ import annotations

import mimetypes
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_coverage import __version__
from otel_coverage.playback import templates
from otel_coverage.playback.job_status import JobError, JobStatus, job_id_of
from otel_coverage.playback.profile import NO_BODY, Profile, Step
from otel_coverage.settings import Settings
from otel_coverage.tracing.attributes import ROLE
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.playback import PROFILE, RUN_ID, Playback

OUTCOME = "playback.outcome"
REQUEST_TIMEOUT = 60.0  # seconds

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class StepError(Exception):
    """A response was not as expected, or playback was stopped."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of playing one profile.

    Attributes:
        profile: its slug.
        run_id: of the playback run.
        run: the value of ``${run}``.
        requests: number of responses.
        jobs: number of finished jobs.
        seconds: duration.
        failure: the reason, in one line; None if it passed.
    """

    profile: str
    run_id: str
    run: str
    requests: int
    jobs: int
    seconds: float
    failure: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every response was as expected and all jobs succeeded."""
        return self.failure is None

    @property
    def word(self) -> str:
        """``passed`` or ``failed``, as in the attribute ``playback.outcome``."""
        return "passed" if self.passed else "failed"

    def as_json(self) -> dict[str, Any]:
        """The outcome, ready for JSON."""
        return {**asdict(self), "seconds": round(self.seconds, 3), "outcome": self.word}


@dataclass(frozen=True, slots=True)
class Player:
    """Plays profiles against one application; thread-safe.

    Attributes:
        base_url: of the application, without a trailing slash.
        run_id: of the playback run.
        tracer: for the playback's own spans.
        settings: the token that signs the baggage, if there is one.
        job_status: how to wait for jobs.
        stopped: set it to send no further requests.
    """

    base_url: str
    run_id: str
    tracer: trace.Tracer
    settings: Settings = field(default_factory=Settings)
    job_status: JobStatus = field(default_factory=JobStatus)
    stopped: threading.Event = field(default_factory=threading.Event)

    def play(self, profile: Profile, on_step: Callable[[], None] = lambda: None) -> Outcome:
        """Play the steps of a profile until one fails.

        Args:
            profile: the profile.
            on_step: called after each step.
        """
        replay = _Replay(self, profile)
        began = time.monotonic()
        failure: str | None = None
        with self.tracer.start_as_current_span(
            f"playback {profile.slug}", context=Context(), attributes=replay.identity
        ) as root:
            try:
                replay.play(on_step)
            except (StepError, JobError, httpx.HTTPError, OSError) as error:
                failure = f"{replay.position}: {error}" if replay.position else str(error)
                root.set_status(trace.StatusCode.ERROR, failure)
            root.set_attribute(OUTCOME, "passed" if failure is None else "failed")
        return Outcome(
            profile=profile.slug,
            run_id=self.run_id,
            run=replay.values["run"],
            requests=replay.responses,
            jobs=replay.finished_jobs,
            seconds=time.monotonic() - began,
            failure=failure,
        )


class _Replay:
    """One profile in progress."""

    def __init__(self, player: Player, profile: Profile) -> None:
        self.player = player
        self.profile = profile
        self.identity = {PROFILE: profile.slug, RUN_ID: player.run_id}
        self.values: dict[str, Any] = {"run": _new_run(profile.slug)}
        self.pending: list[str] = []
        self.responses = self.finished_jobs = 0
        self.position = ""  # in the playback recording, for messages

    def play(self, on_step: Callable[[], None]) -> None:
        headers = {"User-Agent": f"otel-coverage/{__version__}"}
        with httpx.Client(follow_redirects=True, timeout=REQUEST_TIMEOUT, headers=headers) as client:
            for step in self.profile.steps:
                if self.player.stopped.is_set():
                    raise StepError("interrupted")
                self.position = f"{self.profile.origin}: line {step.line}: {step.method} {step.path}"
                if step.method in _SAFE_METHODS:
                    self._wait_for_jobs(client)
                self._receive(step, self._send(client, step))
                on_step()
            self.position = str(self.profile.origin)
            self._wait_for_jobs(client)

    def _send(self, client: httpx.Client, step: Step) -> httpx.Response:
        """Send a request in a CLIENT span, with the trace context and the profile in its headers."""
        player = self.player
        url = player.base_url + templates.fill_path(step.path, self.values)
        attributes = {**self.identity, ROLE: "client", "http.request.method": step.method, "url.full": url}
        with player.tracer.start_as_current_span(
            step.method, kind=trace.SpanKind.CLIENT, attributes=attributes
        ) as span:
            headers = dict(templates.fill(step.headers, self.values))
            context = with_playback(
                trace.set_span_in_context(span, Context()), Playback(self.profile.slug, player.run_id), player.settings
            )
            TraceContextTextMapPropagator().inject(headers, context)
            W3CBaggagePropagator().inject(headers, context)
            response = client.request(step.method, url, headers=headers, **self._body(step))
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= 400:
                span.set_status(trace.StatusCode.ERROR)
        self.responses += 1
        return response

    def _body(self, step: Step) -> dict[str, Any]:
        if step.json is not NO_BODY:
            return {"json": templates.fill(step.json, self.values)}
        if step.uploads:
            files = {
                upload.field: (upload.path.name, upload.path.read_bytes(), mimetypes.guess_type(upload.path.name)[0])
                for upload in step.uploads
            }
            return {"files": files, "data": templates.fill(step.form, self.values)}
        return {"data": templates.fill(step.form, self.values)} if step.form else {}

    def _receive(self, step: Step, response: httpx.Response) -> None:
        """Check a response, and keep its captured values and its job id."""
        as_expected = response.status_code == step.status if step.status is not None else response.status_code < 400
        if not as_expected:
            expected = step.status if step.status is not None else "a status below 400"
            raise StepError(f"answered {response.status_code}, expected {expected}: {_excerpt(response)}")
        for name, pointer in step.captures.items():
            self.values[name] = _resolve(response, pointer)
        job_id = job_id_of(response) if step.method not in _SAFE_METHODS and self.player.job_status.path else None
        if job_id is not None:
            self.pending.append(job_id)

    def _wait_for_jobs(self, client: httpx.Client) -> None:
        while self.pending:
            self.player.job_status.wait(client, self.player.base_url, self.pending[0], self.player.stopped)
            self.pending.pop(0)
            self.finished_jobs += 1


def _new_run(slug: str) -> str:
    """A unique value of ``${run}``: short, in lower case, with letters, digits and hyphens only."""
    readable = slug.replace(".", "-").replace("_", "-")[:40].strip("-")
    return f"{readable}-{uuid.uuid4().hex[:8]}"


def _resolve(response: httpx.Response, pointer: str) -> Any:
    """The value at a JSON pointer in a response."""
    try:
        value = response.json()
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            value = value[int(key)] if isinstance(value, list) else value[key]
    except (ValueError, KeyError, IndexError, TypeError):
        raise StepError(f"the response has no value at {pointer!r}: {_excerpt(response)}") from None
    return value


def _excerpt(response: httpx.Response) -> str:
    return " ".join(response.text[:200].split()) or "empty response"
