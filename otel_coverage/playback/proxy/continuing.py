"""Plays the lines that a recording keeps, through the proxy, and hands their session over to the browser."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from http.cookiejar import Cookie
from typing import Any
from urllib.parse import quote, urlsplit

from opentelemetry.trace import NoOpTracer

from otel_coverage.errors import OtelCoverageError
from otel_coverage.playback.converting.beginning import Beginning
from otel_coverage.playback.job_status import JobStatus
from otel_coverage.playback.outcome import StepResult
from otel_coverage.playback.player import Player
from otel_coverage.playback.profile import Profile
from otel_coverage.playback.proxy.session import Entrance, Session

_FOLDER = "/.otel-coverage/"


class ContinuationError(OtelCoverageError):
    """A line that is kept could not be played, so that a browser cannot go on after it."""


def play(session: Session, beginning: Beginning, profile: Profile, url: str, job_status: str) -> Entrance:
    """Play the lines that are kept, note what they were answered, and have the session go on after them.

    Args:
        session: of the proxy.
        beginning: the lines; gets the values that were captured, and the exchanges.
        profile: the same lines.
        url: of the proxy.
        job_status: path of the application's job status resource; empty to wait for no job.

    Raises:
        ContinuationError: a line failed.
    """
    ends: list[int] = []

    def sent(_: StepResult) -> None:
        ends.append(session.passed())

    def ended(values: Mapping[str, Any], cookies: Iterable[Cookie], page: str | None) -> None:
        beginning.run = str(values["run"])
        beginning.values = {name: str(value) for name, value in values.items() if name != "run"}
        own = list(cookies)
        beginning.cookies = {cookie.name for cookie in own}
        parts = urlsplit(page or "/")
        shown = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        session.go_on(Entrance(_FOLDER + secrets.token_urlsafe(16), shown, tuple(map(_set_cookie, own))))

    player = Player(
        url, "record", NoOpTracer(), job_status=JobStatus(job_status), stopped=session.stopped, is_traced=False
    )
    outcome = player.play(profile, sent, ended)
    if outcome.failure is not None or session.entrance is None:
        raise ContinuationError(
            f"{outcome.failure}; so nothing was recorded: correct the line, or record from an earlier one"
        )
    begin = 0
    for step, end in zip(beginning.steps, ends, strict=True):
        step.played(session.exchanges(begin, end, without=job_status))
        begin = end
    return session.entrance


def _set_cookie(cookie: Cookie) -> str:
    is_hidden = any(name.lower() == "httponly" for name in getattr(cookie, "_rest", {}))
    return (
        f"{cookie.name}={cookie.value or ''}; Path={quote(cookie.path, safe='/%')}{'; HttpOnly' if is_hidden else ''}"
    )
