"""Switching tracing and recording on in this process, in code or without, and off again."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from otel_coverage.instrumentation.environment import continue_environment
from otel_coverage.instrumentation.multiprocessing import instrument_multiprocessing
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.subprocess import instrument_popen, instrument_subprocess
from otel_coverage.instrumentation.threads import instrument_event_loops, instrument_greenlets, instrument_threads
from otel_coverage.settings import Settings
from otel_coverage.tracing import provider as providers
from otel_coverage.tracing import recorder as recorders
from otel_coverage.tracing.context import current_recording
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder

if TYPE_CHECKING:
    from flask import Flask

_patches = Patches()
_on_import: dict[str, Callable[[ModuleType], None]] = {}  # by package; an import hook of wrapt cannot be taken back
_watched: set[str] = set()
_continued = False


def instrument(
    app: Flask | None = None, *, tracer_provider: TracerProvider | None = None, **settings: Any
) -> Flask | None:
    """Trace and record a Flask application, and the jobs that it enqueues or that a worker in this process performs.

    Does nothing unless recording is enabled (``OTEL_COVERAGE_ENABLED=1``). Doing it twice changes nothing.

    Args:
        app: the application; None for all of this process, those to come included, whose spans OpenTelemetry's own
            auto-instrumentation has to make then.
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
    return app


def install_hooks(
    settings: Settings, app: Flask | None = None, tracer_provider: TracerProvider | None = None, *, auto: bool = False
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
    _when_imported("rq", partial(_instrument_rq, provider, recorder))
    if app is not None:
        _instrument_app(app, provider, recorder)
    elif recorder is not None:
        _when_imported("flask", partial(_record_all_apps, provider, recorder))
    if not auto:
        _switch_on(ThreadingInstrumentor())  # before our own hooks, so that they are undone before it
    if recorder is not None:
        instrument_threads(_patches, recorder)
        instrument_subprocess(_patches, recorder)
        instrument_multiprocessing(_patches, recorder, provider, install_hooks)
        _when_imported("asyncio", partial(instrument_event_loops, _patches, recorder))
        _when_imported("gevent", partial(instrument_greenlets, _patches, recorder))
        _when_imported("gevent.subprocess", lambda module: instrument_popen(_patches, recorder, module.Popen))
        _continue_environment(recorder, provider)


def uninstrument(app: Flask | None = None) -> None:
    """Undo :func:`instrument`: for ``app`` alone, or for the whole process, the recorder included."""
    if app is not None:
        from otel_coverage.instrumentation import flask

        flask.release_app(app)
        return
    _on_import.clear()
    _patches.undo()
    recorders.uninstall()
    providers.forget()


def follows_threads() -> bool:
    """Whether the threads and processes that traced code of this process starts are recorded for it."""
    return (threading.Thread, "start") in _patches


def _when_imported(package: str, action: Callable[[ModuleType], None]) -> None:
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


def _instrument_app(app: Flask, provider: TracerProvider, recorder: Recorder | None) -> None:
    from otel_coverage.instrumentation import flask, wsgi

    flask.make_spans(app, provider)
    if recorder is not None:
        flask.record_app(app, wsgi.Hook(recorder, provider))
    _patches.on_undo(flask.release_all_apps)


def _record_all_apps(provider: TracerProvider, recorder: Recorder, _: ModuleType) -> None:
    from otel_coverage.instrumentation import flask, wsgi

    flask.record_all_apps(wsgi.Hook(recorder, provider))
    _patches.on_undo(flask.release_all_apps)


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
