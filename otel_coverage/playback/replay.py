"""One profile in progress: its steps as HTTP requests of one session."""

from __future__ import annotations

import mimetypes
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from http.cookiejar import CookieJar
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_coverage import __version__
from otel_coverage.playback import pages, templates
from otel_coverage.playback.captures import CaptureError, excerpt
from otel_coverage.playback.client import (
    NO_FILE,
    RedirectError,
    matches,
    multipart,
    open_client,
    origin,
    redirect_target,
)
from otel_coverage.playback.job_status import job_id_of
from otel_coverage.playback.outcome import StepError, StepResult
from otel_coverage.playback.pages import Page
from otel_coverage.playback.profile import NO_BODY, Profile, Step
from otel_coverage.playback.values import RedactedValues, Values
from otel_coverage.tracing.attributes import ROLE
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.playback import PROFILE, RUN_ID, TRACED_HEADER, Playback

if TYPE_CHECKING:
    from otel_coverage.playback.player import Player

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_IDEMPOTENT_METHODS = (*_SAFE_METHODS, "PUT", "DELETE")
_UNAVAILABLE = (502, 503, 504)
_MOST_REDIRECTS = 20
_FIRST_PAUSE = 0.2  # seconds before a request is sent again; then twice as long each time
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Replay:
    """One profile in progress.

    Attributes:
        player: plays it.
        profile: is played.
        identity: attributes of its spans.
        values: what placeholders stand for.
        pending: ids of jobs that were enqueued and not awaited yet.
        steps: number of requests that were sent, or tried to be.
        responses: number of answers, those of redirects left out.
        traced_responses: number of answers that say that the application traces the profile.
        finished_jobs: number of jobs that succeeded.
        position: in the playback recording, for messages.
        results: of the steps so far.
    """

    def __init__(self, player: Player, profile: Profile) -> None:
        self.player = player
        self.profile = profile
        self.identity = {PROFILE: profile.slug, RUN_ID: player.run_id}
        self.values = Values(self)
        self.pending: list[str] = []
        self.steps = 0
        self.responses = self.traced_responses = self.finished_jobs = 0
        self.position = ""
        self.results: list[StepResult] = []
        self._page = Page([])  # the newest that has a CSRF token
        self._page_url: str | None = None  # of the newest
        self._client: httpx.Client
        self._timeout = player.timeout  # of the request that is being sent

    def play(self, on_step: Callable[[StepResult], None]) -> None:
        """Play the steps until one fails, and wait for the jobs that they enqueued.

        Raises:
            StepError: an answer was not as expected, or the player was stopped.
            JobError: a job failed.
            httpx.HTTPError, httpx.InvalidURL, OSError: a request was not answered, or could not be made.
        """
        player, profile = self.player, self.profile
        with open_client(player.base_url, player.host, player.timeout) as self._client:
            self._client.headers["User-Agent"] = f"otel-coverage/{__version__}"
            self._client.headers.update(templates.fill(profile.headers, self.values))
            for name, value in profile.cookies.items():
                self._client.cookies.set(name, str(templates.fill(value, self.values)))
            for step in profile.steps:
                if player.stopped.is_set():
                    raise StepError("interrupted")
                self.position = f"{profile.origin}: line {step.line}: {step.method} {step.path}"
                self.values.path = urlsplit(step.path).path
                if player.thinks and player.stopped.wait(step.think):
                    raise StepError("interrupted")
                self._play_step(step, on_step)
            self.position = str(profile.origin)
            self._wait_for_jobs()

    @property
    def cookies(self) -> CookieJar:
        """Those of the session."""
        return self._client.cookies.jar

    @property
    def page_url(self) -> str | None:
        """The URL of the newest page."""
        return self._page_url

    def all_results(self) -> Iterator[StepResult]:
        """Of each step, whether it was sent or not."""
        yield from self.results
        for step in self.profile.steps[len(self.results) :]:
            yield StepResult(step.line, step.method, step.path)

    def failure(self, error: Exception) -> str:
        """What is said of an error: where it was, and nothing from the environment."""
        text = self._explained(error)
        return f"{self.position}: {text}" if self.position else text

    def _explained(self, error: Exception) -> str:
        text = _explained(error, self._timeout)
        for name in {name for name in self.profile.variables() if self.player.environment.get(name)}:
            text = text.replace(self.player.environment[name], f"${{env:{name}}}")
        return text

    def csrf_token(self, path: str) -> str | None:
        """The newest token of a page for a request to that path."""
        return self._page.csrf_token(path)

    def any_csrf_token(self, path: str) -> str | None:
        """The same; without such a page, the value of a cookie that is to be sent back."""
        return self.csrf_token(path) or next(filter(None, map(self.cookie, pages.COOKIES)), None)

    def cookie(self, name: str) -> str | None:
        """The value of a cookie."""
        return next((each.value for each in self._client.cookies.jar if each.name == name), None)

    def _play_step(self, step: Step, on_step: Callable[[StepResult], None]) -> None:
        began, sent, answers, failure = time.monotonic(), self.steps, [], None
        try:
            if step.method in _SAFE_METHODS:
                self._wait_for_jobs()
            began = time.monotonic()
            answers = self._send(step)
            self._receive(step, answers)
        except Exception as error:
            failure = self._explained(error)
            raise
        finally:
            self.results.append(
                StepResult(
                    step.line,
                    step.method,
                    step.path,
                    status=answers[0].status_code if answers else None,
                    final_status=answers[-1].status_code if answers else None,
                    seconds=time.monotonic() - began,
                    attempts=self.steps - sent,
                    failure=failure,
                )
            )
            if self.steps > sent:
                on_step(self.results[-1])

    def _send(self, step: Step) -> list[httpx.Response]:
        """Send a request until it is answered. Returns its answer, and those of the redirects that were followed."""
        pause = _FIRST_PAUSE
        for left in range(self.player.retries, -1, -1):
            try:
                answers = self._send_once(step, left)
            except httpx.TransportError as error:
                may_repeat = step.method in _IDEMPOTENT_METHODS or isinstance(error, _NOT_SENT)
                if not left or not may_repeat:
                    raise
            else:
                status = answers[-1].status_code
                is_final = status not in _UNAVAILABLE or status == step.status
                if not left or is_final or step.method not in _IDEMPOTENT_METHODS:
                    break
            if self.player.stopped.wait(pause):
                raise StepError("interrupted")
            pause *= 2
        return answers

    def _send_once(self, step: Step, retries_left: int) -> list[httpx.Response]:
        """Send a request in a CLIENT span, with the trace context and the profile in its headers."""
        player = self.player
        url = player.base_url + templates.fill_path(step.path, self.values)
        shown = player.base_url + templates.fill_path(step.path, RedactedValues(self.values))
        headers = self._headers(step)
        with ExitStack() as files:
            self._body(step, files)  # what cannot be filled is not sent, and has no span
        self.steps += 1
        attributes = {**self.identity, ROLE: "client", "http.request.method": step.method, "url.full": shown}
        span = player.tracer.start_span(step.method, kind=trace.SpanKind.CLIENT, attributes=attributes)
        is_sent = True
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                if player.is_traced:
                    context = with_playback(
                        trace.set_span_in_context(span, Context()),
                        Playback(self.profile.slug, player.run_id),
                        player.settings,
                    )
                    TraceContextTextMapPropagator().inject(headers, context)
                    W3CBaggagePropagator().inject(headers, context)
                answers = self._exchange(step, url, headers)
                span.set_attribute("http.response.status_code", answers[-1].status_code)
                if answers[-1].status_code >= 400:
                    span.set_status(trace.StatusCode.ERROR)
        except Exception as error:
            is_sent = not (isinstance(error, _NOT_SENT) and retries_left)
            self.steps -= not is_sent
            span.set_status(trace.StatusCode.ERROR, self._explained(error))
            raise
        finally:
            if is_sent:  # else nothing can arrive that belongs to the span
                span.end()
        self.responses += 1
        # a redirect may lead to an application that is not traced
        self.traced_responses += any(each.headers.get(TRACED_HEADER) == self.profile.slug for each in answers)
        return answers

    def _exchange(self, step: Step, url: str, headers: dict[str, str]) -> list[httpx.Response]:
        method, answers, has_body = step.method, list[httpx.Response](), True
        self._timeout = step.timeout or self.player.timeout
        while True:
            with ExitStack() as files:
                body = self._body(step, files) if has_body else {}
                answer = self._client.request(method, url, headers=headers, timeout=self._timeout, **body)
            answers.append(answer)
            self._keep_page(answer)
            if not (step.follow and answer.has_redirect_location and _is_expected(step, answers[0])):
                return answers
            if len(answers) > _MOST_REDIRECTS:
                raise StepError(f"more than {_MOST_REDIRECTS} redirects; the last one leads to {url}")
            try:
                hosts = [*self.profile.hosts, *([self.player.host] if self.player.host else [])]
                url = redirect_target(answer, self.player.base_url, hosts)
            except RedirectError as error:
                raise StepError(str(error)) from error
            if answer.status_code == 303 or (answer.status_code in (301, 302) and method == "POST"):
                method, has_body = ("HEAD" if method == "HEAD" else "GET"), False
                headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}

    def _keep_page(self, answer: httpx.Response) -> None:
        if "html" not in answer.headers.get("content-type", ""):
            return
        page = Page.of(answer)
        self._page_url = str(answer.url)
        if page.csrf_token(answer.url.path) is not None:
            self._page = page

    def _headers(self, step: Step) -> dict[str, str]:
        """Those of the step, and what a page's script or the browser adds to them."""
        headers: dict[str, str] = {
            name: str(value) for name, value in templates.fill(step.headers, self.values).items()
        }
        if step.method in _SAFE_METHODS:
            return headers
        given = {name.lower(): name for name in (*headers, *self.profile.headers)}
        own = origin(self.player.base_url, self.player.host)
        if "origin" not in given:
            headers["Origin"] = own
        if "referer" not in given:
            headers["Referer"] = (self._page_url or self.player.base_url + "/").replace(
                origin(self.player.base_url, None), own, 1
            )
        self._add_token(step, headers)
        return headers

    def _add_token(self, step: Step, headers: dict[str, str]) -> None:
        """Replace a CSRF token of an earlier session in a header; add one where neither headers nor fields have any."""
        token = self.csrf_token(self.values.path)
        of_cookies = {
            header: value for cookie, header in pages.COOKIES.items() if (value := self.cookie(cookie)) is not None
        }
        given = [name for name in step.headers if pages.is_token_header(name)]
        for name in given:
            newest = {header.lower(): value for header, value in of_cookies.items()}.get(name.lower(), token)
            if newest is not None and not any(templates.names(step.headers[name])):
                headers[name] = newest
        if given or any(map(pages.is_token_field, _fields(step))):
            return
        headers.update(of_cookies or ({pages.HEADER: token} if token is not None else {}))

    def _body(self, step: Step, files: ExitStack) -> dict[str, Any]:
        if step.json is not NO_BODY:
            is_object = isinstance(step.json, Mapping)
            return {"json": self._filled(step.json) if is_object else templates.fill(step.json, self.values)}
        if isinstance(step.body, Path):
            return {"content": files.enter_context(step.body.open("rb"))}
        if step.body is not None:
            return {"content": templates.fill_text(step.body, self.values).encode()}
        form = self._filled(step.form)
        if step.uploads or (form and step.multipart):
            fields = [(name, str(each)) for name, value in form.items() for each in _several(value)]
            parts = []
            for upload in step.uploads:
                content: Any = b"" if upload.path is None else files.enter_context(upload.path.open("rb"))
                name = NO_FILE if upload.path is None else upload.name or upload.path.name
                kind = upload.type or mimetypes.guess_type(name)[0] or "application/octet-stream"
                parts.append((upload.field, (name, content, kind)))
            return {"files": multipart(fields, parts)}
        return {"data": form} if form else {}

    def _filled(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A form or a JSON object, in which the newest CSRF token replaces one of an earlier session."""
        token = self.csrf_token(self.values.path)
        filled: dict[str, Any] = templates.fill(fields, self.values)
        for name, value in fields.items():
            if token is not None and pages.is_token_field(name) and not any(templates.names(value)):
                filled[name] = token
        return filled

    def _receive(self, step: Step, answers: list[httpx.Response]) -> None:
        """Check the answers, and keep their captured values and the job id."""
        first, last = answers[0], answers[-1]
        self._check(step, first, last, len(answers) - 1)
        try:
            captured = {name: capture.value(first, last) for name, capture in step.captures.items()}
        except CaptureError as error:
            raise StepError(str(error)) from error
        self.values.update(captured)
        job_id = job_id_of(last) if step.method not in _SAFE_METHODS and self.player.job_status.path else None
        if job_id is not None:
            self.pending.append(job_id)

    def _check(self, step: Step, first: httpx.Response, last: httpx.Response, redirects: int) -> None:
        if not _is_expected(step, first):
            raise StepError(f"answered {first.status_code}, expected {step.status}: {excerpt(first)}")
        if step.redirect is not None:
            self._check_redirect(step, first)
        status = last.status_code
        if step.status is None or _is_redirect(step.status):
            is_fine, expected = status < 400, "a status below 400"
        else:
            is_fine, expected = status == step.status or (status, step.status) == (200, 304), str(step.status)
        if not is_fine:
            where = f" at {last.url.path}, where {redirects} redirects led to" if redirects else ""
            raise StepError(f"answered {status}{where}, expected {expected}: {excerpt(last)}")

    def _check_redirect(self, step: Step, answer: httpx.Response) -> None:
        values = Values(self)
        values.update({**self.values, **dict.fromkeys(step.captures, "*")})  # those come from this very answer
        wanted = templates.fill_text(step.redirect or "", values)
        location = answer.headers.get("location")
        if location is None:
            raise StepError(f"answered {answer.status_code} without a redirect, expected one to {wanted}")
        path = answer.url.join(location).path
        if not matches(path.removeprefix(httpx.URL(self.player.base_url).path.rstrip("/")), wanted):
            raise StepError(f"redirects to {location}, expected {wanted}")

    def _wait_for_jobs(self) -> None:
        while self.pending:
            self.player.job_status.wait(self._client, self.player.base_url, self.pending[0], self.player.stopped)
            self.pending.pop(0)
            self.finished_jobs += 1


def _is_redirect(status: int) -> bool:
    return status in (301, 302, 303, 307, 308)


def _is_expected(step: Step, first: httpx.Response) -> bool:
    """Whether the first answer is as the step says, as far as the step says something of the first."""
    return step.status is None or not _is_redirect(step.status) or first.status_code == step.status


def _fields(step: Step) -> list[str]:
    return [*step.form, *(step.json if isinstance(step.json, Mapping) else ())]


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _explained(error: Exception, timeout: float) -> str:
    if isinstance(error, httpx.TimeoutException):
        what = "no connection" if isinstance(error, _NOT_SENT) else "no answer"
        return f"{what} within {timeout:g} s; see --timeout"
    return str(error) or type(error).__name__
