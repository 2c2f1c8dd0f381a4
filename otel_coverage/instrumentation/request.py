"""A traced request of any protocol: where its entry opens, the context that its code runs in, and its SERVER span."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextvars import Token
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_coverage import __version__
from otel_coverage.code_objects import qualname_of
from otel_coverage.settings import Settings
from otel_coverage.spool import service
from otel_coverage.tracing.context import entry_awaiting_span, entry_of, with_entry
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import TRACED_HEADER, Playback
from otel_coverage.tracing.recorder import Recorder, install

if TYPE_CHECKING:
    from typing_extensions import Self

ENTRY = "otel_coverage.entry"
"""In a WSGI environ or ASGI scope: its entry, or None where a hook found it not traced. Hooks inside leave it alone."""


_TRACE_CONTEXT = TraceContextTextMapPropagator()


class RequestLine(NamedTuple):
    """What a request's own SERVER span is made of.

    Attributes:
        name: of the span.
        attributes: of the span, as OpenTelemetry's conventions for HTTP have them.
        headers: by name in lower case, for the propagators.
    """

    name: str
    attributes: Mapping[str, str | int]
    headers: Mapping[str, str]


class RequestHook:
    """Opens the entries of an application's requests that name a playback.

    Of several hooks around an application the outermost records. An entry is incomplete where code of the application,
    a middleware say, called that one: it ran before the recording began.

    Args:
        recorder: the process's recorder.
        tracer_provider: makes the SERVER spans of requests without one; by default OpenTelemetry's global one.
    """

    def __init__(self, recorder: Recorder, tracer_provider: TracerProvider | None = None) -> None:
        self.recorder = recorder
        self.provider = tracer_provider

    @classmethod
    def of_middleware(cls, settings: Settings | None, tracer_provider: TracerProvider | None) -> Self | None:
        """The hook of a middleware; None where tracing is switched off.

        Args:
            settings: by default those of environment and pyproject.toml.
            tracer_provider: makes spans; by default OpenTelemetry's global one.

        Raises:
            ConfigurationError: a setting cannot be used, or the process records with other settings already.
        """
        settings = Settings.load() if settings is None else settings
        return cls(install(settings), tracer_provider) if settings.enabled else None

    def open(
        self,
        request: MutableMapping[str, Any],
        extract: Callable[[Settings], Playback | None],
        is_request: Callable[[object], bool],
        middleware: str,
        line: Callable[[], RequestLine],
    ) -> TracedRequest | None:
        """Open the request's entry. Never raises.

        Args:
            request: what the protocol passes on for one, which keeps the entry.
            extract: finds the playback that it names.
            is_request: whether an argument of some function is this request, or a copy of it that a middleware made.
            middleware: what the application can be wrapped in, so that all of it is recorded.
            line: what is known of the request, should its process be killed before its span starts.

        Returns:
            None where the request is not traced, and where it is part of one that is recorded already.
        """
        try:
            traced = self._open(request, extract, is_request, middleware)
            if traced is not None:
                traced.note_begun(line)
            return traced
        except Exception as error:
            log.failed("extracting a request's playback", error)
            return None

    def _open(
        self,
        request: MutableMapping[str, Any],
        extract: Callable[[Settings], Playback | None],
        is_request: Callable[[object], bool],
        middleware: str,
    ) -> TracedRequest | None:
        if ENTRY in request:
            seen = request[ENTRY]
            if seen is None or seen.is_open:
                return None
        request[ENTRY] = None
        playback = extract(self.recorder.settings)
        if playback is None:
            return None
        context = otel_context.get_current()
        outer = entry_of(context)
        if outer is not None and outer.playback == playback:
            return None
        request[ENTRY] = entry = self.recorder.open(playback, SpanKind.SERVER)
        try:
            outside = self._code_outside(is_request)
        except Exception as error:  # the entry is open: it has to be closed by its request
            log.failed("looking for middlewares outside of the recording", error)
            outside = "what called the application, which could not be read,"
        if outside is not None:
            entry.mark_incomplete(
                "middleware_outside",
                f"{outside} ran outside of the recording: put otel_coverage.{middleware} around it",
            )
        return TracedRequest(entry, context, self.recorder, self.provider)

    def _code_outside(self, is_request: Callable[[object], bool]) -> str | None:
        """The application's function that called the hook with the request, if one did.

        Not every one that is on the stack: the ``main()`` that runs the server has nothing to do with the request.
        """
        frame = inspect.currentframe()
        while frame is not None:
            code = frame.f_code
            if self.recorder.is_application(code.co_filename):
                local = frame.f_locals
                for name in _parameters(code):
                    value = local.get(name)
                    if any(is_request(one) for one in (value if isinstance(value, tuple) else (value,))):
                        return qualname_of(code)
            frame = frame.f_back
        return None


def _parameters(code: CodeType) -> tuple[str, ...]:
    has_variadic = bool(code.co_flags & inspect.CO_VARARGS)
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + has_variadic]


class TracedRequest:
    """A traced request: its context, attached while code of the application runs.

    Args:
        entry: its entry.
        context: the one that it arrived in.
        recorder: the process's recorder.
        provider: makes its SERVER span where nobody else does.
    """

    def __init__(self, entry: Entry, context: Context, recorder: Recorder, provider: TracerProvider | None) -> None:
        self.entry = entry
        self._provider = provider
        self._outer_context = context
        self._context = with_entry(context, entry, recorder.settings)
        self._recorder = recorder
        self._tokens: tuple[Token[Context], Token[Entry | None]] | None = None

    def note_begun(self, line: Callable[[], RequestLine]) -> None:
        """Have it known that the request began, should the process be killed before its span starts. Never raises."""
        spool = service.installed()
        if spool is None:
            return
        try:
            of_request = line()
            parent = trace.get_current_span(self._outer_context).get_span_context()
            if not parent.is_valid:
                context = _TRACE_CONTEXT.extract(of_request.headers, Context())
                parent = trace.get_current_span(context).get_span_context()
            path = of_request.attributes.get("url.path", "")
            resource = getattr(self._provider or trace.get_tracer_provider(), "resource", None)
            spool.begin(self.entry, f"{of_request.name} {path}", parent if parent.is_valid else None, resource)
        except Exception as error:
            log.failed("noting what was begun", error)

    def response_headers(self) -> Iterator[tuple[str, str]]:
        """The headers to add to the response, as it begins."""
        profile = self.entry.playback.profile
        yield TRACED_HEADER, profile
        if self._recorder.settings.server_timing:
            metrics = [f'playback;desc="{profile}"']
            span = self.entry.span_context
            if span is not None:
                traceparent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
                metrics.insert(0, f'traceparent;desc="{traceparent}"')
            yield "Server-Timing", ", ".join(metrics)

    def attach(self) -> None:
        """Have the code that follows recorded."""
        self._tokens = otel_context.attach(self._context), entry_awaiting_span.set(self.entry)

    def detach(self) -> None:
        """Restore the outer context, and keep the current one, with what the application attached, for next time."""
        self._context = otel_context.get_current()
        if self._tokens is not None:
            context, awaiting = self._tokens
            self._tokens = None
            otel_context.detach(context)
            entry_awaiting_span.reset(awaiting)

    def forget(self) -> None:
        """Restore nothing: the context in which this was attached is gone."""
        self._tokens = None

    def release_span(self) -> None:
        """Send the SERVER span now, if it has ended: what is left of the request may take long. Never raises."""
        try:
            self.entry.release_span()
        except Exception as error:
            log.failed("ending a request's span", error)

    def start_span(self, line: RequestLine) -> Span | None:
        """Start the request's SERVER span, which nobody else makes, and have what follows happen in it. Never raises.

        Returns:
            None where there is one already.
        """
        if not self.entry.awaits_span(SpanKind.SERVER):
            return None
        self.attach()
        try:
            parent = self._outer_context
            if not trace.get_current_span(parent).get_span_context().is_valid:
                parent = propagate.extract(line.headers, Context())
            span = trace.get_tracer("otel_coverage", __version__, self._provider).start_span(
                line.name,
                with_entry(parent, self.entry, self._recorder.settings),
                SpanKind.SERVER,
                line.attributes,
                start_time=self.entry.opened,
            )
        except Exception as error:
            log.failed("making a request's span", error)
            return None
        finally:
            self.detach()
        self._context = trace.set_span_in_context(span, self._context)
        return span

    def close(self, line: Callable[[], RequestLine]) -> None:
        """End the recording. Closing twice is fine.

        Args:
            line: for the SERVER span, where nobody made one: its URL is excluded, or a middleware answered before the
                span would have begun.
        """
        try:
            span = self.start_span(line()) if self.entry.awaits_span(SpanKind.SERVER) else None
            if span is not None:
                span.end()
        except Exception as error:
            log.failed("making a request's span", error)
        self._recorder.close(self.entry)
        spool = service.installed()
        if spool is not None and self.entry.span_context is None:
            spool.forget(self.entry)
