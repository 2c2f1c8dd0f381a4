"""Flask: OpenTelemetry makes the spans; what servers call of an application is wrapped around that, to record."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import flask
from opentelemetry.trace import TracerProvider

from otel_coverage.instrumentation.extraction import may_be_traced
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.request import ENTRY
from otel_coverage.instrumentation.routes import register, werkzeug
from otel_coverage.instrumentation.routes.register import served
from otel_coverage.instrumentation.wsgi import Hook
from otel_coverage.tracing.entry_point import EntryPoint
from otel_coverage.tracing.recorder import Recorder, end_startup

_patches = Patches()
_hooks: weakref.WeakKeyDictionary[flask.Flask, Hook] = weakref.WeakKeyDictionary()
_hook_of_others: Hook | None = None
_spans_by_us: weakref.WeakSet[flask.Flask] = weakref.WeakSet()


make_hook = Hook


def record_app(app: flask.Flask, hook: Hook) -> None:
    """Record what traced requests to ``app`` execute, whatever wraps its ``wsgi_app`` before or after this call."""
    _hooks[app] = hook
    _wrap(type(app))
    if "wsgi_app" in vars(app):  # replaced already, around a method that is not wrapped
        replaced = app.wsgi_app
        app.wsgi_app = recorded = hook.around(replaced)  # type: ignore[method-assign, assignment]
        _patches.on_undo(partial(_put_back, app, recorded, replaced))


def record_all_apps(hook: Hook) -> None:
    """Record what traced requests execute in every application of this process, present and future."""
    global _hook_of_others
    _hook_of_others = hook
    _wrap(flask.Flask)


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


def _put_back(app: flask.Flask, recorded: Any, replaced: Any) -> None:
    if app.wsgi_app is recorded:
        app.wsgi_app = replaced  # type: ignore[method-assign]


def _wrap(application: type[flask.Flask]) -> None:
    # The class, not the wsgi_app of each application: so it stays around middlewares that are added later, and needs no
    # hook where applications are made. flask.Flask may be OpenTelemetry's subclass of it by now; both kinds are served.
    # A subclass may have a __call__ of its own, and `ProxyFix(app.wsgi_app)` is served without any.
    for entrance in ("__call__", "wsgi_app"):
        _patches.wrap(application, entrance, _call)
        _patches.wrap(flask.Flask, entrance, _call)


def _call(call: Callable[..., Any], app: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    end_startup()
    if app is not served.last and is_recorded(app):
        register.serve(app)
    if len(args) != 2 or not may_be_traced(args[0]):
        return call(*args, **kwargs)
    hook = _hooks.get(app, _hook_of_others)
    return call(*args) if hook is None else hook.serve(partial(_routed, call, app, hook.recorder), *args)


def _routed(call: Callable[..., Any], app: Any, recorder: Recorder, environ: Any, start_response: Any) -> Any:
    """Call the application; once it has matched the route of a traced request, that is its entry point."""
    entry = environ.get(ENTRY)
    if entry is not None:
        entry.found_by(partial(_entry_point, app, recorder, environ))
    return call(environ, start_response)


def _entry_point(app: Any, recorder: Recorder, environ: Any) -> EntryPoint | None:
    method = str(environ.get("REQUEST_METHOD", ""))
    request = environ.get("werkzeug.request")  # until Flask has answered it
    rule = request.url_rule if request is not None else werkzeug.matched(app, environ)
    return werkzeug.entry_point(app, rule, method, recorder)
