"""Around a WSGI application: a recording that spans the call, the iteration of its body, and ``close()``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import wrapt
from opentelemetry.trace import TracerProvider

from otel_coverage.instrumentation.extraction import extract_playback, may_be_traced
from otel_coverage.instrumentation.request import RequestHook, RequestLine, TracedRequest
from otel_coverage.settings import Settings
from otel_coverage.tracing.recorder import end_startup, installed

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication


class CoverageMiddleware:
    """Records what traced requests execute, in any WSGI application. It belongs around all other middlewares.

    The instrumentation of the application inside makes the SERVER span; without any, the middleware does. It gets its
    coverage from a :class:`~otel_coverage.tracing.processor.CoverageSpanProcessor` on the provider.

    Args:
        application: the application to record.
        settings: by default those of environment and pyproject.toml. Without ``enabled`` the middleware does nothing.
        tracer_provider: makes spans; by default OpenTelemetry's global one.

    Raises:
        ConfigurationError: a setting cannot be used, or the process records with other settings already.
    """

    def __init__(
        self,
        application: WSGIApplication,
        settings: Settings | None = None,
        *,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        self._application = application
        self._hook = Hook.of_middleware(settings, tracer_provider)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request; one without the headers that name a playback costs two dictionary look-ups."""
        end_startup()
        if not may_be_traced(environ) or self._hook is None:
            return self._application(environ, start_response)
        return self._hook.serve(self._application, environ, start_response)


class Hook(RequestHook):
    """Records an application's requests that name a playback."""

    def serve(
        self, application: WSGIApplication, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Call ``application``, recorded where the request is traced. Returns the response's body."""
        body = environ.get("wsgi.input")

        def is_request(value: object) -> bool:
            # dict's own method: a subclass of the application's may do anything
            return isinstance(value, dict) and body is not None and dict.get(value, "wsgi.input") is body

        traced = self.open(
            environ, partial(extract_playback, environ), is_request, "CoverageMiddleware", partial(_line, environ)
        )
        if traced is None:
            return application(environ, start_response)
        request = _Request(traced, environ)
        traced.attach()
        try:
            answer = application(environ, request.watched(start_response))
        except BaseException:
            traced.detach()
            request.close()
            raise
        traced.detach()
        request.returned(answer)
        return _Body(answer, request)

    def around(self, application: WSGIApplication) -> WSGIApplication:
        """``application``, recorded while the process's recorder is this one; otherwise it looks and acts as before."""
        return cast(
            "WSGIApplication",
            wrapt.FunctionWrapper(application, self._call, enabled=lambda: installed() is self.recorder),
        )

    def _call(self, application: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        end_startup()
        if len(args) != 2 or not may_be_traced(args[0]):
            return application(*args, **kwargs)
        return self.serve(application, *args)


class _Request:
    """What WSGI has of a traced request."""

    def __init__(self, traced: TracedRequest, environ: dict[str, Any]) -> None:
        self._traced = traced
        self._environ = environ
        self._is_streamed = True
        self.attach, self.detach = traced.attach, traced.detach

    def watched(self, start_response: StartResponse) -> StartResponse:
        """``start_response`` that adds the headers that say that the request is traced."""

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            self._is_streamed = _is_streamed(status, headers)
            return start_response(status, [*headers, *self._traced.response_headers()], *exc_info)

        return start

    def returned(self, body: Iterable[bytes]) -> None:
        """The application has returned the body.

        What is left of one that is made already takes a moment; a streamed one may take as long as the client likes, or
        never end. So in that case the SERVER span, if it has ended, is sent before it.
        """
        if self._is_streamed and type(body) not in (list, tuple):
            self._traced.release_span()

    def close(self) -> None:
        """End the recording. Closing twice is fine."""
        self._traced.close(partial(_line, self._environ))


def _line(environ: dict[str, Any]) -> RequestLine:
    method = str(environ.get("REQUEST_METHOD", "HTTP"))
    attributes = {"http.request.method": method, "url.path": str(environ.get("PATH_INFO", ""))}
    headers = {
        name[len("HTTP_") :].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    }
    return RequestLine(method, attributes, headers)


def _is_streamed(status: str, headers: list[tuple[str, str]]) -> bool:
    """Whether the response has a body of unknown length."""
    try:
        if status[:1] == "1" or status[:3] in ("204", "304"):
            return False
        return not any(name.lower() == "content-length" for name, _ in headers)
    except (TypeError, ValueError, AttributeError):  # the server says what is wrong with them
        return True


class _Body:
    """The response's body, iterated and closed in the request's context."""

    def __init__(self, body: Iterable[bytes], request: _Request) -> None:
        self._body = body
        self._iterator: Iterator[bytes] | None = None
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._request.attach()
        try:
            if self._iterator is None:
                self._iterator = iter(self._body)
            return next(self._iterator)
        finally:
            self._request.detach()

    def close(self) -> None:
        self._request.attach()
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._request.detach()
            self._request.close()

    def __del__(self) -> None:
        self._request.close()  # some servers never call close()
