"""Switching tracing and recording on in this process, in code or without, and off again."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from otel_coverage import __version__
from otel_coverage.instrumentation.asgi_servers import SERVERS as ASGI_SERVERS
from otel_coverage.instrumentation.attached_contexts import instrument_attached_contexts
from otel_coverage.instrumentation.environment import continue_environment
from otel_coverage.instrumentation.multiprocessing import instrument_multiprocessing
from otel_coverage.instrumentation.no_propagators import use_no_propagator
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.routes import register
from otel_coverage.instrumentation.servers import SERVERS, record_server
from otel_coverage.instrumentation.subprocess import instrument_popen, instrument_subprocess
from otel_coverage.instrumentation.tasks import instrument_tasks, instrument_uvloop
from otel_coverage.instrumentation.termination import Termination
from otel_coverage.instrumentation.threads import (
    instrument_greenlets,
    instrument_threads,
    instrument_worker_threads,
)
from otel_coverage.instrumentation.unfollowed import SERVERS as UNFOLLOWED_SERVERS
from otel_coverage.instrumentation.unfollowed import tell_when_started
from otel_coverage.settings import Settings
from otel_coverage.tracing import recorder as recorders
from otel_coverage.tracing.context import current_recording
from otel_coverage.tracing.export import provider as providers
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder

App = TypeVar("App")  # of Flask, Starlette, FastAPI or Quart, or None

TERMINATION_SECONDS = 0.5
"""That a process which is instrumented in code takes longer at SIGTERM, at most."""

_ROUTES = {  # the classes of what is made when routes are added, by module
    "werkzeug.routing": ("Map",),
    "starlette.routing": ("Route", "WebSocketRoute", "Mount", "Host"),
    "fastapi.routing": ("APIRoute", "APIWebSocketRoute", "_IncludedRouter"),
}

_patches = Patches()
_termination = Termination(TERMINATION_SECONDS)
_on_import: dict[str, Callable[[ModuleType], None]] = {}  # by package; an import hook of wrapt cannot be taken back
_watched: set[str] = set()
_continued = False
_started = False


def instrument(
    app: App = None,  # type: ignore[assignment]
    *,
    tracer_provider: TracerProvider | None = None,
    **settings: Any,
) -> App:
    """Trace and record an application, and the jobs that it enqueues or that a worker in this process performs.

    Does nothing unless recording is enabled (``OTEL_COVERAGE_ENABLED=1``). Doing it twice changes nothing.

    Where SIGTERM would end the process by its default action, it is handled: the spans that have ended are appended to
    the spool before the process dies of the signal, half a second later at most.

    Args:
        app: an application of Flask, Starlette, FastAPI or Quart; None for all of this process, those to come included,
            whose spans OpenTelemetry's own auto-instrumentation has to make then.
        tracer_provider: makes the spans; by default OpenTelemetry's global one, or where none is configured one made
            from the standard ``OTEL_*`` variables.
        settings: what overrides environment and pyproject.toml, see :class:`~otel_coverage.settings.Settings`.

    Returns:
        ``app``.

    Raises:
        ConfigurationError: a setting cannot be used, or the process records with other settings already.
    """
    loaded = Settings.load(**settings)
    if loaded.enabled:
        install_hooks(loaded, app, tracer_provider)
        if providers.appends_to_spool():
            _termination.install()  # appending takes milliseconds; without a spool the process would wait for others
    return app


def install_hooks(
    settings: Settings, app: object = None, tracer_provider: TracerProvider | None = None, *, auto: bool = False
) -> None:
    """Install every hook; what they record, and whether, is up to ``settings``.

    Args:
        settings: what to record.
        app: one application, or None for all.
        tracer_provider: makes the spans.
        auto: OpenTelemetry's auto-instrumentation runs: it makes Flask's spans and carries contexts into threads.

    Raises:
        ConfigurationError: a setting cannot be used, or the process records with other settings already.
    """
    recorder: Recorder | None = None
    if settings.enabled:
        current_recording()  # raises where nothing could be recorded
        recorder = recorders.install(settings)
    provider = providers.equip(settings, tracer_provider)
    use_no_propagator(_patches)
    when_imported("rq", partial(_instrument_rq, provider, recorder))
    if providers.is_ours(provider):
        when_imported("opentelemetry.instrumentation.asgi", _exclude_message_spans)
    if app is not None:
        _instrument_app(app, provider, recorder)
    elif recorder is not None:
        when_imported("flask", partial(_record_all_apps, provider, recorder))
        for server in SERVERS:
            when_imported(server, partial(_record_server, provider, recorder))
        for framework in ("quart.app", "starlette.applications"):
            when_imported(framework, partial(_record_all_asgi_apps, provider, recorder))
        for server in ASGI_SERVERS:
            when_imported(server, partial(_record_asgi_server, provider, recorder))
        for server in UNFOLLOWED_SERVERS:
            when_imported(server, partial(tell_when_started, _patches))
    if not auto:
        _switch_on(ThreadingInstrumentor())  # before our own hooks, so that they are undone before it
    if recorder is not None:
        _patches.on_undo(register.install(recorder, provider))
        for module, names in _ROUTES.items():
            when_imported(module, partial(_watch_routes, names))
        instrument_threads(_patches, recorder)
        if settings.engine == "coverage" or sys.version_info < (3, 12):
            instrument_attached_contexts(_patches, recorder)
        instrument_subprocess(_patches, recorder)
        instrument_multiprocessing(_patches, recorder, provider, install_hooks)
        when_imported("asyncio", partial(instrument_tasks, _patches, recorder))
        when_imported("uvloop", partial(instrument_uvloop, _patches, recorder))
        when_imported("anyio._backends._asyncio", partial(instrument_worker_threads, _patches))
        when_imported("gevent", partial(instrument_greenlets, _patches, recorder))
        when_imported("gevent.subprocess", lambda module: instrument_popen(_patches, recorder, module.Popen))
        _continue_environment(recorder, provider)
        _record_startup(recorder, provider)


def uninstrument(app: object = None) -> None:
    """Undo :func:`instrument`: for ``app`` alone, or for the whole process, the recorder included."""
    if app is not None:
        _module_of(app).release_app(app)
        return
    _on_import.clear()
    _patches.undo()
    _termination.remove()
    recorders.uninstall()
    providers.forget()


def follows_threads() -> bool:
    """Whether the threads and processes that traced code of this process starts are recorded for it."""
    return (threading.Thread, "start") in _patches


def when_imported(package: str, action: Callable[[ModuleType], None]) -> None:
    """Call ``action`` with the package now or when it is imported; once, until :func:`uninstrument`."""
    if package in _on_import:
        return
    _on_import[package] = action
    if package not in _watched:
        _watched.add(package)
        wrapt.register_post_import_hook(_imported, package)  # calls it at once where the package is imported already
    elif package in sys.modules:
        _imported(sys.modules[package])


def _imported(module: ModuleType) -> None:
    action = _on_import.get(module.__name__)
    if action is None:
        return
    try:
        action(module)
    except Exception as error:  # otherwise raised into the application's import statement
        log.failed(f"instrumenting {module.__name__}", error)


def _instrument_app(app: object, provider: TracerProvider, recorder: Recorder | None) -> None:
    module = _module_of(app)
    module.make_spans(app, provider)
    if recorder is not None:
        module.record_app(app, module.make_hook(recorder, provider))
    _patches.on_undo(module.release_all_apps)


def _module_of(app: object) -> Any:
    """The module that instruments an application of its framework."""
    from otel_coverage.instrumentation import asgi_apps

    if asgi_apps.is_asgi_app(app):
        return asgi_apps
    from otel_coverage.instrumentation import flask

    return flask


def _record_all_apps(provider: TracerProvider, recorder: Recorder, _: ModuleType) -> None:
    from otel_coverage.instrumentation import flask, wsgi

    flask.record_all_apps(wsgi.Hook(recorder, provider))
    _patches.on_undo(flask.release_all_apps)


def _record_server(provider: TracerProvider, recorder: Recorder, module: ModuleType) -> None:
    from otel_coverage.instrumentation import wsgi

    record_server(_patches, wsgi.Hook(recorder, provider), module)


def _record_all_asgi_apps(provider: TracerProvider, recorder: Recorder, module: ModuleType) -> None:
    from otel_coverage.instrumentation import asgi, asgi_apps

    asgi_apps.record_all_apps(asgi.AsgiHook(recorder, provider), module)
    _patches.on_undo(asgi_apps.release_all_apps)


def _record_asgi_server(provider: TracerProvider, recorder: Recorder, module: ModuleType) -> None:
    from otel_coverage.instrumentation import asgi

    ASGI_SERVERS[module.__name__](_patches, asgi.AsgiHook(recorder, provider), module)


def _watch_routes(names: tuple[str, ...], module: ModuleType) -> None:
    for name in names:
        if hasattr(module, name):
            register.watch_routes(_patches, getattr(module, name))


def _exclude_message_spans(module: ModuleType) -> None:
    from otel_coverage.instrumentation import asgi_apps

    asgi_apps.exclude_message_spans(_patches, module)


def _instrument_rq(provider: TracerProvider, recorder: Recorder | None, module: ModuleType) -> None:
    if not hasattr(module, "__path__"):
        return  # a module of the application's that has the name of the package
    from otel_coverage.instrumentation.rq import RQInstrumentor

    _switch_on(RQInstrumentor(), tracer_provider=provider, recorder=recorder)


def _switch_on(instrumentor: BaseInstrumentor, **arguments: Any) -> None:
    """Instrument with it, until :func:`uninstrument`, unless somebody else did already."""
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument(**arguments)
        _patches.on_undo(partial(_switch_off, instrumentor))


def _switch_off(instrumentor: BaseInstrumentor) -> None:
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def _continue_environment(recorder: Recorder, provider: TracerProvider) -> None:
    """Once a process: when its environment is read again later, the span has begun already."""
    global _continued
    if not _continued:
        _continued = True
        continue_environment(recorder, provider)


def _record_startup(recorder: Recorder, provider: TracerProvider) -> None:
    """Once a process, and where nothing is recorded from its first line for a playback."""
    global _started
    if recorder.settings.startup and not _started and not recorder.is_recording:
        recorder.begin_startup(provider.get_tracer("otel_coverage", __version__))
    _started = True
