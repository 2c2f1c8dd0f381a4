"""Starlette, FastAPI and Quart: OpenTelemetry makes the spans it can; what servers call of one is recorded."""

from __future__ import annotations

import weakref
from collections.abc import Callable, MutableMapping
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import TracerProvider

from otel_coverage.instrumentation.asgi import AsgiHook
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.request import ENTRY
from otel_coverage.instrumentation.routes import register, starlette, werkzeug
from otel_coverage.instrumentation.routes.register import served
from otel_coverage.tracing.context import entry_of
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import installed

FRAMEWORKS = {"starlette.applications": ("Starlette", ("__call__",)), "quart.app": ("Quart", ("__call__", "asgi_app"))}
"""The class of applications, and what servers and adapters call of one, by module. FastAPI's is one of Starlette's."""

_INSTRUMENTORS = (  # the first that is installed and that the application is one of
    ("fastapi.applications", "FastAPI", "opentelemetry.instrumentation.fastapi", "FastAPIInstrumentor"),
    ("starlette.applications", "Starlette", "opentelemetry.instrumentation.starlette", "StarletteInstrumentor"),
)

_patches = Patches()
_hooks: MutableMapping[Any, AsgiHook] = weakref.WeakKeyDictionary()
_hook_of_others: AsgiHook | None = None
_spans_by_us: MutableMapping[Any, Any] = weakref.WeakKeyDictionary()  # the instrumentor, by application


make_hook = AsgiHook


def is_asgi_app(app: object) -> bool:
    """Whether it is an application of one of the :data:`FRAMEWORKS`."""
    return any(base.__module__ in FRAMEWORKS for base in type(app).__mro__)


def record_app(app: Any, hook: AsgiHook) -> None:
    """Record what traced requests to ``app`` execute."""
    _hooks[app] = hook
    for base in type(app).__mro__:
        if base.__module__ in FRAMEWORKS:
            _wrap(type(app), *FRAMEWORKS[base.__module__])
    if "asgi_app" in vars(app):  # replaced already, around a method that is not wrapped
        replaced = app.asgi_app
        app.asgi_app = recorded = hook.around(replaced)
        _patches.on_undo(partial(_put_back, app, recorded, replaced))


def record_all_apps(hook: AsgiHook, module: ModuleType) -> None:
    """Record what traced requests execute in every application of a framework, present and future.

    Args:
        hook: records.
        module: of the framework, a key of :data:`FRAMEWORKS`.
    """
    global _hook_of_others
    _hook_of_others = hook
    name, entrances = FRAMEWORKS[module.__name__]
    _wrap(getattr(module, name), name, entrances)


def is_recorded(app: Any) -> bool:
    """Whether traced requests to ``app`` are recorded."""
    return _hook_of_others is not None or app in _hooks


def make_spans(app: Any, provider: TracerProvider) -> None:
    """Have OpenTelemetry make ``app``'s SERVER spans where it can, unless it does already; else the hook makes them."""
    if getattr(app, "_is_instrumented_by_opentelemetry", False) or getattr(app, "middleware_stack", None) is not None:
        return
    for module, name, package, instrumentor in _INSTRUMENTORS:
        if any((base.__module__, base.__name__) == (module, name) for base in type(app).__mro__):
            try:
                made = getattr(import_module(package), instrumentor)
            except ImportError:
                continue
            made.instrument_app(app, tracer_provider=provider)
            _spans_by_us[app] = made
            return


def release_app(app: Any) -> None:
    """Undo :func:`record_app` and :func:`make_spans`."""
    _hooks.pop(app, None)
    instrumentor = _spans_by_us.pop(app, None)
    if instrumentor is not None:
        instrumentor.uninstrument_app(app)
    if not _hooks and _hook_of_others is None:
        _patches.undo()


def release_all_apps() -> None:
    """Undo :func:`record_all_apps`, and :func:`release_app` each application."""
    global _hook_of_others
    _hook_of_others = None
    for app in {*_hooks, *_spans_by_us}:
        release_app(app)
    _patches.undo()


def exclude_message_spans(patches: Patches, module: ModuleType) -> None:
    """Have OpenTelemetry's middleware make no span for each message: a WebSocket may exchange thousands of them.

    Args:
        patches: undo it.
        module: ``opentelemetry.instrumentation.asgi``.
    """

    def init(init: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if kwargs.get("exclude_spans") is None:
            kwargs = {**kwargs, "exclude_spans": ["receive", "send"]}
        return init(*args, **kwargs)

    middleware = module.OpenTelemetryMiddleware
    if "exclude_spans" in middleware.__init__.__code__.co_varnames:  # from 0.50b0 on
        patches.wrap(middleware, "__init__", init)


def _put_back(app: Any, recorded: Any, replaced: Any) -> None:
    if app.asgi_app is recorded:
        app.asgi_app = replaced


def _wrap(application: type, name: str, entrances: tuple[str, ...]) -> None:
    # The class, not each application: it needs no hook where applications are made, and stays around what is added
    # later. A subclass may have a __call__ of its own; those of Starlette and FastAPI call the one that they override.
    for entrance in entrances:
        for kind in {application, *(base for base in application.__mro__ if base.__name__ == name)}:
            _patches.wrap(kind, entrance, _call)
    if name == "Quart":
        for what, dispatch in (("request", "full_dispatch_request"), ("websocket", "full_dispatch_websocket")):
            if hasattr(application, dispatch):
                _patches.wrap(application, dispatch, partial(_dispatch, what))


def _call(call: Callable[..., Any], app: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    hook = _hooks.get(app, _hook_of_others)
    if hook is None or len(args) != 3 or kwargs:
        return call(*args, **kwargs)
    scope = args[0]
    is_mounted = "app" in scope  # by another application of Starlette's, whose route leads here
    if app is not served.last and not is_mounted:
        register.serve(app)  # a lifespan is the first that it is asked
    answer = hook.serve(call, *args)
    entry = None if is_mounted else scope.get(ENTRY)
    if entry is not None and starlette.is_application(app):
        entry.found_by(partial(starlette.entry_point, app, dict(scope), hook.recorder))
    return answer


def _dispatch(what: str, dispatch: Callable[..., Any], app: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Quart has matched the route."""
    try:
        entry = entry_of(otel_context.get_current())
        span = trace.get_current_span()
        request: Any = getattr(args[0], what, None) if args else None
        matched = getattr(request, "url_rule", None)
        rule = getattr(matched, "rule", None)
        recorder = installed()
        if entry is not None and request is not None and recorder is not None:
            entry.found_by(partial(werkzeug.entry_point, app, matched, str(request.method), recorder))
        if entry is not None and span.get_span_context() == entry.span_context and isinstance(rule, str):
            span.set_attribute("http.route", rule)
            span.update_name(f"{request.method} {rule}" if what == "request" else rule)
    except Exception as error:
        log.failed("naming a request's route", error)
    return dispatch(*args, **kwargs)
