"""Switching tracing and recording on in this process, in code or without, and off again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from otel_coverage.instrumentation.children import hook_children, release_children
from otel_coverage.instrumentation.commands import hook_commands, hook_popen, release_commands
from otel_coverage.instrumentation.process import continue_environment
from otel_coverage.instrumentation.threads import hook_event_loops, hook_threads, release_threads
from otel_coverage.settings import Settings
from otel_coverage.tracing import provider as providers
from otel_coverage.tracing import recorder as recorders
from otel_coverage.tracing.context import current_recording
from otel_coverage.tracing.recorder import Recorder

if TYPE_CHECKING:
    from flask import Flask

_threads_by_us = False
_when_imported: dict[str, Callable[[], None]] = {}
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
        wire(loaded, app, tracer_provider)
    return app


def wire(
    settings: Settings, app: Flask | None = None, tracer_provider: TracerProvider | None = None, *, auto: bool = False
) -> None:
    """Hook everything in, recording only where ``settings`` enable it.

    Args:
        settings: what to record.
        app: one application, or None for all.
        tracer_provider: makes the spans.
        auto: OpenTelemetry's auto-instrumentation runs: it makes Flask's spans and carries contexts into threads.
    """
    recorder: Recorder | None = None
    if settings.enabled:
        current_recording()  # raises where nothing could be recorded
        recorder = recorders.install(settings)
    provider = providers.equip(settings, tracer_provider)
    _when("rq", lambda: _instrument_jobs(provider, recorder))
    if app is not None:
        _instrument_app(app, provider, recorder)
    elif recorder is not None:
        _when("flask", lambda: _record_all_apps(provider, recorder))
    if not auto:
        _carry_into_threads()
    if recorder is not None:
        hook_threads(recorder)
        hook_commands(recorder)
        hook_children(recorder, provider)
        _when("asyncio", lambda: hook_event_loops(sys.modules["asyncio"]))
        _when("gevent", lambda: _hook_greenlets(recorder))
        _when("gevent.subprocess", lambda: hook_popen(sys.modules["gevent.subprocess"].Popen))
        _continue_environment(recorder, provider)


def uninstrument(app: Flask | None = None) -> None:
    """Undo :func:`instrument`: for ``app`` alone, or for the whole process, the recorder included."""
    global _threads_by_us
    if app is not None:
        from otel_coverage.instrumentation import flask

        flask.release_app(app)
        return
    _when_imported.clear()
    release_children()
    release_commands()
    if "otel_coverage.instrumentation.flask" in sys.modules:
        from otel_coverage.instrumentation import flask

        flask.release_all_apps()
    if "otel_coverage.instrumentation.rq" in sys.modules:
        from otel_coverage.instrumentation.rq import RQInstrumentor

        if RQInstrumentor().is_instrumented_by_opentelemetry:
            RQInstrumentor().uninstrument()
    if "otel_coverage.instrumentation.greenlets" in sys.modules:
        from otel_coverage.instrumentation import greenlets

        greenlets.release_greenlets()
    release_threads()  # put on after OpenTelemetry's, so taken off before
    if _threads_by_us:
        ThreadingInstrumentor().uninstrument()
        _threads_by_us = False
    recorders.uninstall()
    providers.forget()


def _when(package: str, action: Callable[[], None]) -> None:
    """Act now where the package is imported already, else when it is: not everybody has Flask, or jobs."""
    _when_imported[package] = action
    if package not in _watched:
        _watched.add(package)
        wrapt.register_post_import_hook(_imported, package)
    elif package in sys.modules:
        action()


def _imported(module: ModuleType) -> None:
    action = _when_imported.get(module.__name__)
    if action is not None:
        action()


def _instrument_app(app: Flask, provider: TracerProvider, recorder: Recorder | None) -> None:
    from otel_coverage.instrumentation import flask, wsgi

    flask.make_spans(app, provider)
    if recorder is not None:
        flask.record_app(app, wsgi.Hook(recorder, provider))


def _record_all_apps(provider: TracerProvider, recorder: Recorder) -> None:
    from otel_coverage.instrumentation import flask, wsgi

    flask.record_all_apps(wsgi.Hook(recorder, provider))


def _instrument_jobs(provider: TracerProvider, recorder: Recorder | None) -> None:
    from otel_coverage.instrumentation.rq import RQInstrumentor

    instrumentor = RQInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument(tracer_provider=provider, recorder=recorder)


def _hook_greenlets(recorder: Recorder) -> None:
    from otel_coverage.instrumentation.greenlets import hook_greenlets

    hook_greenlets(recorder)


def _carry_into_threads() -> None:
    global _threads_by_us
    instrumentor = ThreadingInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()
        _threads_by_us = True


def _continue_environment(recorder: Recorder, provider: TracerProvider) -> None:
    """Once a process: its environment does not change its mind."""
    global _continued
    if not _continued:
        _continued = True
        continue_environment(recorder, provider)
