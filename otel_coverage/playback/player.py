"""Plays a profile: its steps as HTTP requests, in a trace of its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import Any

import httpx
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.util.types import AttributeValue

from otel_coverage.playback.job_status import JobError, JobStatus
from otel_coverage.playback.outcome import Outcome, StepError, StepResult
from otel_coverage.playback.profile import Profile
from otel_coverage.playback.replay import Replay
from otel_coverage.settings import Settings
from otel_coverage.tracing.attributes import ROLE
from otel_coverage.tracing.playback import PROFILE, RUN_ID

OUTCOME = "playback.outcome"
STEPS = "playback.steps"
REQUEST_TIMEOUT = 60.0  # seconds


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
        host: the header ``Host`` of all requests; None for the base URL's.
        timeout: seconds that the server may be silent.
        retries: how often a request is sent again that got no answer, or that the server is unavailable. What is not
            idempotent (POST, PATCH) is sent again only where no connection could be made.
        thinks: whether to wait between steps as the user did.
        is_traced: whether requests name the profile, so that the application records them.
        environment: the variables of ``${env:NAME}``.
    """

    base_url: str
    run_id: str
    tracer: trace.Tracer
    settings: Settings = field(default_factory=Settings)
    job_status: JobStatus = field(default_factory=JobStatus)
    stopped: threading.Event = field(default_factory=threading.Event)
    host: str | None = None
    timeout: float = REQUEST_TIMEOUT
    retries: int = 0
    thinks: bool = False
    is_traced: bool = True
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def plan(self, profile: Profile) -> None:
        """End a span that says that the profile is to be played, and of how many steps, whatever happens then."""
        self._report_steps("plan", profile, len(profile.steps))

    def play(
        self,
        profile: Profile,
        on_step: Callable[[StepResult], None] = lambda result: None,
        on_end: Callable[[Mapping[str, Any], CookieJar, str | None], None] = lambda values, cookies, page: None,
    ) -> Outcome:
        """Play the steps of a profile until one fails, and end a span that says how many were played.

        Args:
            profile: the profile.
            on_step: called after each step that was sent.
            on_end: called when all passed, with captured values and ``run``, the cookies, and the URL of the last page.
        """
        replay = Replay(self, profile)
        began = time.monotonic()
        try:
            failure = self._play(replay, on_step)
        finally:
            self._report_steps("played", profile, replay.steps)
        if failure is None:
            on_end(replay.values, replay.cookies, replay.page_url)
        return Outcome(
            profile=profile.slug,
            run_id=self.run_id,
            run=replay.values["run"],
            requests=replay.responses,
            traced=replay.traced_responses,
            jobs=replay.finished_jobs,
            seconds=time.monotonic() - began,
            failure=failure,
            steps=tuple(replay.all_results()),
        )

    def _play(self, replay: Replay, on_step: Callable[[StepResult], None]) -> str | None:
        """Returns why it failed; None if it passed."""
        failure: str | None = None
        with self.tracer.start_as_current_span(
            f"playback {replay.profile.slug}", context=Context(), attributes=replay.identity
        ) as root:
            try:
                replay.play(on_step)
            except (StepError, JobError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                failure = replay.failure(error)
                root.set_status(trace.StatusCode.ERROR, failure)
            root.set_attribute(OUTCOME, "passed" if failure is None else "failed")
        return failure

    def _report_steps(self, role: str, profile: Profile, steps: int) -> None:
        attributes: dict[str, AttributeValue] = {PROFILE: profile.slug, RUN_ID: self.run_id, ROLE: role, STEPS: steps}
        self.tracer.start_span(f"{role} {profile.slug}", context=Context(), attributes=attributes).end()
