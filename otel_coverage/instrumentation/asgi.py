"""Around an ASGI application: a recording that spans a whole request, or a whole WebSocket connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry.trace import Span, Status, StatusCode, TracerProvider

from otel_coverage.instrumentation.extraction import extract_from_scope, scope_may_be_traced
from otel_coverage.instrumentation.patch import arguments
from otel_coverage.instrumentation.request import RequestHook, RequestLine, TracedRequest
from otel_coverage.instrumentation.span_makers import makes_server_spans
from otel_coverage.settings import Settings
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import end_startup, installed

if TYPE_CHECKING:
    from otel_coverage.tracing.recorder import Recorder

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]

RELEASE_SECONDS = 0.5
"""That the SERVER span of an answered request waits for what runs after the response, as background tasks do."""

_BEGIN = ("http.response.start", "websocket.accept", "websocket.http.response.start")


class AsgiCoverageMiddleware:
    """Records what traced requests execute, in any ASGI application. It belongs around all other middlewares.

    What :class:`~otel_coverage.CoverageMiddleware` is for WSGI. OpenTelemetry's instrumentation of the application
    inside makes the SERVER span; without any, the middleware does.

    Args:
        application: the application to record.
        settings: by default those of environment and pyproject.toml. Without ``enabled`` the middleware does nothing.
        tracer_provider: makes spans; by default OpenTelemetry's global one.

    Raises:
        ConfigurationError: a setting cannot be used, or the process records with other settings already.
    """

    def __init__(
        self,
        application: ASGIApplication,
        settings: Settings | None = None,
        *,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        self._application = application
        self._hook = AsgiHook.of_middleware(settings, tracer_provider)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; one without the headers that name a playback costs a look at their names."""
        if self._hook is None:
            await self._application(scope, receive, send)
        else:
            await self._hook.serve(self._application, scope, receive, send)


class AsgiHook(RequestHook):
    """Records an application's requests and WebSocket connections that name a playback."""

    def serve(self, application: ASGIApplication, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """What ``application`` returns for the connection, recorded where that is traced; lifespans are left alone."""
        try:
            if scope["type"] not in ("http", "websocket"):
                return application(scope, receive, send)
            end_startup()
            if not scope_may_be_traced(scope):
                return application(scope, receive, send)
        except (KeyError, TypeError, IndexError):  # it is not what ASGI says
            return application(scope, receive, send)
        traced = self.open(
            scope,
            partial(extract_from_scope, scope),
            partial(_is_connection, scope),
            "AsgiCoverageMiddleware",
            partial(_line, scope),
        )
        if traced is None:
            return application(scope, receive, send)
        return _Connection(traced, scope, send).serve(self.recorder, application, receive)

    def around(self, application: ASGIApplication) -> ASGIApplication:
        """``application``, recorded while the process's recorder is this one; otherwise it looks and acts as before."""
        return wrapt.FunctionWrapper(application, self._call, enabled=lambda: installed() is self.recorder)

    def _call(self, application: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        connection = arguments(args, kwargs, scope=0, receive=1, send=2)  # daphne gives them by their names
        if len(args) + len(kwargs) != 3 or any(part is None for part in connection):
            return application(*args, **kwargs)
        return self.serve(application, *connection)


class _Connection:
    """A traced request, or WebSocket connection."""

    def __init__(self, traced: TracedRequest, scope: Scope, send: Send) -> None:
        self._traced = traced
        self._scope = scope
        self._send = send
        self._span: Span | None = None
        self._awaits_trailers = False
        self._release: asyncio.TimerHandle | None = None

    async def serve(self, recorder: Recorder, application: ASGIApplication, receive: Receive) -> None:
        """Run the application for the connection."""
        traced = self._traced
        try:
            if not makes_server_spans(application):
                self._span = traced.start_span(_line(self._scope))
        except Exception as error:
            log.failed("making a request's span", error)
        traced.attach()
        try:
            await recorder.drive(traced.entry, _called(application, self._scope, receive, self.send))
        except GeneratorExit:  # thrown away with its event loop, in another context
            traced.forget()
            raise
        except Exception as error:
            self._failed(error)
            raise
        finally:
            traced.detach()
            if self._release is not None:
                self._release.cancel()
            self._end_span()
            traced.close(partial(_line, self._scope))

    async def send(self, message: Message) -> None:
        """The server's ``send``, which adds the headers that say that the request is traced."""
        kind = message["type"]
        if kind in _BEGIN:
            message = self._begun(message)
        await self._send(message)
        last = "http.response.trailers" if self._awaits_trailers else "http.response.body"
        if kind == last and not message.get("more_trailers" if self._awaits_trailers else "more_body"):
            self._answered()

    def _begun(self, message: Message) -> Message:
        try:
            self._awaits_trailers = bool(message.get("trailers"))
            if self._span is not None and "status" in message:
                self._span.set_attribute("http.response.status_code", message["status"])
                if message["status"] >= 500:
                    self._span.set_status(Status(StatusCode.ERROR))
            added = [
                (name.lower().encode(), value.encode("latin-1")) for name, value in self._traced.response_headers()
            ]
            return {**message, "headers": [*message.get("headers", ()), *added]}
        except Exception as error:
            log.failed("answering a traced request", error)
            return message

    def _answered(self) -> None:
        """The response is sent. What the application does now for more than a moment is written apart from its span."""
        self._end_span()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # an event loop of another library; the recorder releases the span later
            return
        self._release = loop.call_later(RELEASE_SECONDS, self._traced.release_span)

    def _failed(self, error: Exception) -> None:
        if self._span is not None and self._span.is_recording():
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))

    def _end_span(self) -> None:
        span, self._span = self._span, None
        if span is None:
            return
        try:
            route = _route(self._scope)
            if route is not None:
                span.set_attribute("http.route", route)
                span.update_name(f"{self._scope['method']} {route}" if "method" in self._scope else route)
            span.end()
        except Exception as error:
            log.failed("ending a request's span", error)


def _line(scope: Scope) -> RequestLine:
    method = str(scope.get("method", "WEBSOCKET"))
    attributes: dict[str, str | int] = {"url.path": str(scope.get("path", ""))}
    if "method" in scope:
        attributes["http.request.method"] = method
    if scope.get("scheme"):
        attributes["url.scheme"] = str(scope["scheme"])
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return RequestLine(method, attributes, headers)


async def _called(application: ASGIApplication, scope: Scope, receive: Receive, send: Send) -> None:
    await application(scope, receive, send)


def _route(scope: Scope) -> str | None:
    """The route that answered, where the framework says so in the scope: Starlette and FastAPI do."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else None


def _is_connection(scope: Scope, value: object) -> bool:
    """Whether it is the connection's scope, or a copy of it that a middleware made."""
    if value is scope:
        return True
    # dict's own method: a subclass of the application's may do anything
    return isinstance(value, dict) and any(
        scope.get(key) is not None and dict.get(value, key) is scope.get(key) for key in ("asgi", "headers")
    )
