"""Flask: OpenTelemetry's instrumentation makes the spans; ``Flask.__call__`` is wrapped around it, to record."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import flask
from opentelemetry.trace import TracerProvider

from otel_coverage.instrumentation.extraction import may_be_traced
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.wsgi import Hook

_patches = Patches()
_hooks: weakref.WeakKeyDictionary[flask.Flask, Hook] = weakref.WeakKeyDictionary()
_hook_of_others: Hook | None = None
_spans_by_us: weakref.WeakSet[flask.Flask] = weakref.WeakSet()


def record_app(app: flask.Flask, hook: Hook) -> None:
    """Record what traced requests to ``app`` execute, whatever wraps its ``wsgi_app`` before or after this call."""
    _hooks[app] = hook
    _wrap()


def record_all_apps(hook: Hook) -> None:
    """Record what traced requests execute in every application of this process, present and future."""
    global _hook_of_others
    _hook_of_others = hook
    _wrap()


def is_recorded(app: flask.Flask) -> bool:
    """Whether traced requests to ``app`` are recorded."""
    return _hook_of_others is not None or app in _hooks


def make_spans(app: flask.Flask, provider: TracerProvider) -> None:
    """Have OpenTelemetry make ``app``'s SERVER spans, unless it does already."""
    if not getattr(app, "_is_instrumented_by_opentelemetry", False):
        _instrumentor().instrument_app(app, tracer_provider=provider)
        _spans_by_us.add(app)


def release_app(app: flask.Flask) -> None:
    """Undo :func:`record_app` and :func:`make_spans`."""
    _hooks.pop(app, None)
    if app in _spans_by_us:
        _spans_by_us.discard(app)
        _instrumentor().uninstrument_app(app)
    if not _hooks and _hook_of_others is None:
        _patches.undo()


def release_all_apps() -> None:
    """Undo :func:`record_all_apps`, and :func:`release_app` each application."""
    global _hook_of_others
    _hook_of_others = None
    for app in {*_hooks, *_spans_by_us}:
        release_app(app)
    _patches.undo()


def _instrumentor() -> Any:
    # not at the top: its own import of flask may be what imports this module
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    return FlaskInstrumentor


def _wrap() -> None:
    # The class, not the wsgi_app of each application: so it stays around middlewares that are added later, and needs no
    # hook where applications are made. flask.Flask may be OpenTelemetry's subclass of it by now; both kinds are served.
    _patches.wrap(flask.Flask, "__call__", _call)


def _call(call: Callable[..., Any], app: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) != 2 or not may_be_traced(args[0]):
        return call(*args, **kwargs)
    hook = _hooks.get(app, _hook_of_others)
    return call(*args) if hook is None else hook.serve(call, *args)
