"""Flask: OpenTelemetry's instrumentation makes the spans; around it, whole applications are wrapped at their class."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import flask
from opentelemetry.trace import TracerProvider

from otel_coverage.instrumentation.extraction import BAGGAGE, HEADER
from otel_coverage.instrumentation.wsgi import Hook

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

_wrapped: tuple[Any, Callable[..., Iterable[bytes]]] | None = None
_hook: Hook | None = None
_all = False
_apps: weakref.WeakSet[flask.Flask] = weakref.WeakSet()
_spans_by_us: weakref.WeakSet[flask.Flask] = weakref.WeakSet()


def record_app(app: flask.Flask, hook: Hook) -> None:
    """Record what traced requests to ``app`` execute, whatever wraps its ``wsgi_app`` before or after this call."""
    _apps.add(app)
    _wrap(hook)


def record_all_apps(hook: Hook) -> None:
    """The same for every application of this process, those to come included."""
    global _all
    _all = True
    _wrap(hook)


def is_recorded(app: flask.Flask) -> bool:
    """Whether traced requests to ``app`` are recorded."""
    return _hook is not None and (_all or app in _apps)


def make_spans(app: flask.Flask, provider: TracerProvider) -> None:
    """Have OpenTelemetry make ``app``'s SERVER spans, unless it does already."""
    if not getattr(app, "_is_instrumented_by_opentelemetry", False):
        _instrumentor().instrument_app(app, tracer_provider=provider)
        _spans_by_us.add(app)


def release_app(app: flask.Flask) -> None:
    """Undo :func:`record_app` and :func:`make_spans`."""
    _apps.discard(app)
    if app in _spans_by_us:
        _spans_by_us.discard(app)
        _instrumentor().uninstrument_app(app)
    if not _apps and not _all:
        _unwrap()


def release_all_apps() -> None:
    """Undo all of it."""
    global _all
    _all = False
    for app in list(_apps):
        release_app(app)
    _unwrap()


def _instrumentor() -> Any:
    # not at the top: its own import of flask may be what has us imported
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    return FlaskInstrumentor


def _wrap(hook: Hook) -> None:
    # On the class, not on an app's wsgi_app: so it stays outermost, around middlewares that the application adds later,
    # and whoever makes applications, when and how often, needs no hook. flask.Flask may be OpenTelemetry's subclass of
    # itself by now, and applications may be instances of either.
    global _hook, _wrapped
    _hook = hook
    if _wrapped is None:
        owner: Any = next(base for base in flask.Flask.__mro__ if "__call__" in vars(base))
        _wrapped = owner, owner.__call__
        owner.__call__ = _recorded(owner.__call__)


def _unwrap() -> None:
    global _hook, _wrapped
    if _wrapped is not None:
        owner, original = _wrapped
        owner.__call__ = original
    _hook = _wrapped = None


def _recorded(original: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    @functools.wraps(original)
    def __call__(app: flask.Flask, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:  # noqa: N807
        if HEADER not in environ and BAGGAGE not in environ:
            return original(app, environ, start_response)
        hook = _hook if _all or app in _apps else None
        if hook is None:
            return original(app, environ, start_response)
        return hook.serve(functools.partial(original, app), environ, start_response)

    return __call__
