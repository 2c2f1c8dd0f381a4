"""How an application is instrumented in this process."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import TracerProvider

from otel_coverage.errors import ConfigurationError
from otel_coverage.instrumentation import asgi_apps
from otel_coverage.instrumentation.unfollowed import REMEDY, unfollowed_framework
from otel_coverage.settings import ENVIRONMENT_PREFIX, Settings
from otel_coverage.source import SourceTree
from otel_coverage.tracing.export.provider import (
    LEAVING_SECONDS,
    configured_provider,
    export_counts,
    is_ours,
)
from otel_coverage.tracing.recorder import installed
from otel_coverage.tracing.sampler import CoverageSampler

if TYPE_CHECKING:
    from flask import Flask

# the OpenTelemetry instrumentation of each HTTP client: package on PyPI, module and class
_CLIENTS = {
    "aiohttp": ("opentelemetry-instrumentation-aiohttp-client", "aiohttp_client", "AioHttpClientInstrumentor"),
    "httpx": ("opentelemetry-instrumentation-httpx", "httpx", "HTTPXClientInstrumentor"),
    "requests": ("opentelemetry-instrumentation-requests", "requests", "RequestsInstrumentor"),
    "urllib3": ("opentelemetry-instrumentation-urllib3", "urllib3", "URLLib3Instrumentor"),
}

_REMEDY = "start it by 'otel-coverage run --', or call otel_coverage.instrument(app)"


def application(name: str, settings: Settings) -> Iterator[str]:
    """How the application is instrumented in this process, a line for each aspect.

    Args:
        name: ``module:name``, or ``module:factory()``, as gunicorn takes it.
        settings: those of this process.

    Raises:
        ConfigurationError: the application cannot be imported.
    """
    app = _load(name)
    kind = type(app)
    yield f"{name} is a {kind.__module__}.{kind.__qualname__}"
    framework = unfollowed_framework(app)
    if framework is not None:
        yield f"problem: it is an application of {framework}: {REMEDY}"
        return
    flask = sys.modules.get("flask")
    if asgi_apps.is_asgi_app(app):
        yield from _asgi_spans(app)
        yield from _recording(asgi_apps.is_recorded(app), settings)
        yield from _provider(configured_provider())
        yield from _jobs()
        yield from _threads_and_processes()
        yield from _other_services()
        return
    if flask is None or not isinstance(app, flask.Flask):
        yield (
            "it is not one of Flask, Starlette, FastAPI or Quart: otel_coverage.CoverageMiddleware around it "
            "records any WSGI application, otel_coverage.AsgiCoverageMiddleware any ASGI application"
        )
        return
    from otel_coverage.instrumentation.flask import is_recorded

    yield from _spans(app)
    yield from _recording(is_recorded(app), settings)
    yield from _provider(configured_provider())
    yield from _jobs()
    yield from _threads_and_processes()
    yield from _other_services()
    yield from _views(app, settings)


def _load(name: str) -> Any:
    """The application of that name: imported, or made by the factory.

    Raises:
        ConfigurationError: importing or making it failed.
    """
    module_name, _, attribute = name.partition(":")
    is_factory = attribute.endswith("()")
    attribute = (attribute.removesuffix("()") or "app") if module_name else ""
    if not attribute.isidentifier():
        raise ConfigurationError(f"--app {name}: expected MODULE:NAME or MODULE:FACTORY()")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), attribute)
        return found() if is_factory else found
    except Exception as error:
        first_line = str(error).partition("\n")[0]
        raise ConfigurationError(f"--app {name}: {type(error).__name__}: {first_line}") from error


def _spans(app: Flask) -> Iterator[str]:
    if getattr(app, "_is_instrumented_by_opentelemetry", False):
        yield "OpenTelemetry's Flask instrumentation makes its SERVER spans"
    else:
        yield f"no SERVER spans are made for it in this process: {_REMEDY}"


def _asgi_spans(app: object) -> Iterator[str]:
    if getattr(app, "_is_instrumented_by_opentelemetry", False):
        yield "OpenTelemetry's ASGI instrumentation makes its SERVER spans"
    else:
        yield "otel-coverage makes the SERVER spans of its traced requests, and nothing those of others"


def _recording(is_recorded: bool, settings: Settings) -> Iterator[str]:
    if is_recorded:
        yield "its traced requests are recorded"
    elif not settings.enabled:
        yield f"its requests are not recorded: {ENVIRONMENT_PREFIX}ENABLED=1 switches recording on"
    else:
        yield f"its requests are not recorded in this process: {_REMEDY}"


def _provider(provider: TracerProvider | None) -> Iterator[str]:
    if provider is None:
        yield "no tracer provider is configured in this process: no span is exported"
        return
    if is_ours(provider):
        yield "spans go to otel-coverage's own tracer provider"
        yield f"on this provider of ours a process ends {LEAVING_SECONDS:g} s later at most, even without a collector"
        counts = ", ".join(f"{number} {outcome}" for outcome, number in export_counts().items())
        yield f"spans of this process so far: {counts}"
    else:
        yield f"spans go to a {type(provider).__module__}.{type(provider).__qualname__}"
        timeout = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT") or os.environ.get("OTEL_EXPORTER_OTLP_TIMEOUT")
        yield (
            "on a provider of your own a process that ends while the collector is away waits up to 30 s for each "
            f"BatchSpanProcessor, and what that holds is lost (OTEL_EXPORTER_OTLP_TIMEOUT is {timeout or '10'} s: less "
            "shortens it); where SIGTERM has no handler, as under waitress, what it holds is lost at once"
        )
    if isinstance(provider.sampler, CoverageSampler):
        yield f"traced requests are always sampled, others by {provider.sampler.sampler.get_description()}"
    elif installed() is not None:
        yield (
            f"its sampler {provider.sampler.get_description()} may drop traced requests: "
            "wrap it in otel_coverage.CoverageSampler"
        )


def _jobs() -> Iterator[str]:
    if "rq" not in sys.modules:
        yield "it has not imported rq; its jobs are instrumented when it does"
        return
    from otel_coverage.instrumentation.rq import RQInstrumentor

    if RQInstrumentor().is_instrumented_by_opentelemetry:
        yield "jobs that it enqueues with rq carry their trace and playback; start the workers in the same way"
    else:
        yield f"jobs that it enqueues with rq do not carry their trace and playback: {_REMEDY}"


def _threads_and_processes() -> Iterator[str]:
    from otel_coverage.instrumentation import setup

    if setup.follows_threads():
        yield "threads and processes that its requests start are recorded for them"
    else:
        yield f"threads and processes that its requests start are not recorded for them: {_REMEDY}"


def _other_services() -> Iterator[str]:
    instrumented = [name for name in _CLIENTS if _is_instrumented(name)]
    others = [name for name in _CLIENTS if name in sys.modules and name not in instrumented]
    if instrumented:
        yield f"requests to other services by {', '.join(instrumented)} carry their trace and playback"
    if others:
        packages = " ".join(_CLIENTS[name][0] for name in others)
        yield (
            f"requests to other services by {', '.join(others)} do not carry their trace and playback: "
            f"pip install {packages}, and {_REMEDY}"
        )


def _is_instrumented(client: str) -> bool:
    _, module, instrumentor = _CLIENTS[client]
    deferred = sys.modules.get("otel_coverage.instrumentation.deferred")
    if deferred is not None and module in deferred.waiting:
        return True  # as soon as it is imported
    found = sys.modules.get(f"opentelemetry.instrumentation.{module}")
    return found is not None and bool(getattr(found, instrumentor)().is_instrumented_by_opentelemetry)


def _views(app: Flask, settings: Settings) -> Iterator[str]:
    tree = SourceTree.of(settings)
    files = {
        endpoint: inspect.unwrap(view).__code__.co_filename
        for endpoint, view in app.view_functions.items()
        if hasattr(inspect.unwrap(view), "__code__")
    }
    outside = sorted(endpoint for endpoint, file in files.items() if tree.locate(file) is None)
    inside = len(files) - len(outside)
    shown = ", ".join(outside[:5]) + (", …" if len(outside) > 5 else "")
    yield f"{inside} of its {len(files)} view functions are in the source{f'; not: {shown}' if outside else ''}"
