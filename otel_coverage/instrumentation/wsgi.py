"""Around a WSGI application: a recording that spans the call, the iteration of its body, and ``close()``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import Token
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, TracerProvider

from otel_coverage import __version__
from otel_coverage.instrumentation.extraction import extract_playback, may_be_traced
from otel_coverage.settings import Settings
from otel_coverage.tracing.context import entry_awaiting_span, entry_of, with_entry
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder, install

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
        settings = Settings.load() if settings is None else settings
        self._application = application
        self._hook = Hook(install(settings), tracer_provider) if settings.enabled else None

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer the request; one without the headers that name a playback costs two dictionary look-ups."""
        if not may_be_traced(environ) or self._hook is None:
            return self._application(environ, start_response)
        return self._hook.serve(self._application, environ, start_response)


class Hook:
    """Records an application's requests that name a playback.

    Args:
        recorder: the process's recorder.
        tracer_provider: makes the SERVER spans of requests without one; by default OpenTelemetry's global one.
    """

    def __init__(self, recorder: Recorder, tracer_provider: TracerProvider | None = None) -> None:
        self._recorder = recorder
        self._provider = tracer_provider

    def serve(
        self, application: WSGIApplication, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Call ``application``, recorded where the request is traced. Returns the response's body."""
        try:
            request = self._traced_request(environ)
        except Exception as error:
            log.failed("extracting a request's playback", error)
            request = None
        if request is None:
            return application(environ, start_response)
        if self._recorder.settings.server_timing:
            start_response = request.with_server_timing(start_response)
        request.attach()
        try:
            body = application(environ, start_response)
        except BaseException:
            request.detach()
            request.close()
            raise
        request.detach()
        return _Body(body, request)

    def _traced_request(self, environ: dict[str, Any]) -> _Request | None:
        """None where the request is not traced, and where it is part of one that is recorded already."""
        playback = extract_playback(environ, self._recorder.settings)
        if playback is None:
            return None
        context = otel_context.get_current()
        outer = entry_of(context)
        if outer is not None and outer.playback == playback:
            return None
        entry = self._recorder.open(playback, SpanKind.SERVER)
        return _Request(entry, context, self._recorder, self._provider, environ)


class _Request:
    """A traced request: its context, attached while code of the application runs."""

    def __init__(
        self,
        entry: Entry,
        context: Context,
        recorder: Recorder,
        provider: TracerProvider | None,
        environ: dict[str, Any],
    ) -> None:
        self._entry = entry
        self._provider = provider
        self._outer_context = context
        self._context = with_entry(context, entry, recorder.settings)
        self._recorder = recorder
        self._environ = environ
        self._tokens: tuple[Token[Context], Token[Entry | None]] | None = None

    def with_server_timing(self, start_response: StartResponse) -> StartResponse:
        """``start_response`` that adds a ``Server-Timing`` header with the trace and the profile."""

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            metrics = [f'playback;desc="{self._entry.playback.profile}"']
            span = self._entry.span_context
            if span is not None:
                traceparent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
                metrics.insert(0, f'traceparent;desc="{traceparent}"')
            return start_response(status, [*headers, ("Server-Timing", ", ".join(metrics))], *exc_info)

        return start

    def attach(self) -> None:
        self._tokens = otel_context.attach(self._context), entry_awaiting_span.set(self._entry)

    def detach(self) -> None:
        """Restore the outer context, and keep the current one, with what the application attached, for next time."""
        self._context = otel_context.get_current()
        if self._tokens is not None:
            context, awaiting = self._tokens
            self._tokens = None
            otel_context.detach(context)
            entry_awaiting_span.reset(awaiting)

    def close(self) -> None:
        """End the recording. Closing twice is fine."""
        if self._entry.awaits_span(SpanKind.SERVER):
            self.attach()
            try:
                self._make_span()
            except Exception as error:
                log.failed("making a request's span", error)
            finally:
                self.detach()
        self._recorder.close(self._entry)

    def _make_span(self) -> None:
        """Nobody made a SERVER span: its URL is excluded, or a middleware answered before the span would have begun."""
        from opentelemetry.instrumentation.wsgi import wsgi_getter  # rarely needed

        parent = self._outer_context
        if not trace.get_current_span(parent).get_span_context().is_valid:
            parent = propagate.extract(self._environ, Context(), wsgi_getter)
        method = str(self._environ.get("REQUEST_METHOD", "HTTP"))
        span = trace.get_tracer("otel_coverage", __version__, self._provider).start_span(
            method,
            with_entry(parent, self._entry, self._recorder.settings),
            SpanKind.SERVER,
            {"http.request.method": method, "url.path": str(self._environ.get("PATH_INFO", ""))},
            start_time=self._entry.opened,
        )
        span.end()


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
