"""What ``otel-coverage doctor --app`` says of an application."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import TracerProvider

from otel_coverage.errors import ConfigurationError
from otel_coverage.settings import ENVIRONMENT_PREFIX, Settings
from otel_coverage.source import SourceTree
from otel_coverage.tracing.provider import configured_provider
from otel_coverage.tracing.recorder import installed
from otel_coverage.tracing.sampler import CoverageSampler

if TYPE_CHECKING:
    from flask import Flask

# HTTP clients, and what of OpenTelemetry's has them carry a trace: package on PyPI, module and class
_CLIENTS = {
    "aiohttp": ("opentelemetry-instrumentation-aiohttp-client", "aiohttp_client", "AioHttpClientInstrumentor"),
    "httpx": ("opentelemetry-instrumentation-httpx", "httpx", "HTTPXClientInstrumentor"),
    "requests": ("opentelemetry-instrumentation-requests", "requests", "RequestsInstrumentor"),
    "urllib3": ("opentelemetry-instrumentation-urllib3", "urllib3", "URLLib3Instrumentor"),
}

_REMEDY = "start it by 'otel-coverage run --', or call otel_coverage.instrument(app)"


def application_lines(name: str, settings: Settings) -> Iterator[str]:
    """How the application is wired in this process, in words.

    Args:
        name: ``module:name``, or ``module:factory()``, as gunicorn takes it.
        settings: those of this process.

    Raises:
        ConfigurationError: there is no such application.
    """
    app = load(name)
    kind = type(app)
    yield f"{name} is a {kind.__module__}.{kind.__qualname__}"
    flask = sys.modules.get("flask")
    if flask is None or not isinstance(app, flask.Flask):
        yield "it is no Flask application: otel_coverage.CoverageMiddleware around it records any WSGI application"
        return
    yield from _spans(app)
    yield from _recording(app, settings)
    yield from _provider(configured_provider())
    yield from _jobs()
    yield from _started()
    yield from _neighbours()
    yield from _views(app, settings)


def load(name: str) -> Any:
    """The application of that name.

    Raises:
        ConfigurationError: it cannot be imported, or made.
    """
    module_name, _, attribute = name.partition(":")
    is_factory = attribute.endswith("()")
    attribute = (attribute.removesuffix("()") or "app") if module_name else ""
    if not attribute.isidentifier():
        raise ConfigurationError(f"--app {name}: MODULE:NAME is wanted, or MODULE:FACTORY()")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), attribute)
        return found() if is_factory else found
    except Exception as error:
        said = str(error).partition("\n")[0]
        raise ConfigurationError(f"--app {name}: {type(error).__name__}: {said}") from error


def _spans(app: Flask) -> Iterator[str]:
    if getattr(app, "_is_instrumented_by_opentelemetry", False):
        yield "OpenTelemetry's Flask instrumentation makes its SERVER spans"
    else:
        yield f"nobody makes its SERVER spans here: {_REMEDY}"


def _recording(app: Flask, settings: Settings) -> Iterator[str]:
    from otel_coverage.instrumentation import flask

    if flask.is_recorded(app):
        yield "its traced requests are recorded"
    elif not settings.enabled:
        yield f"nothing of it is recorded: {ENVIRONMENT_PREFIX}ENABLED=1 switches that on"
    else:
        yield f"nothing of it is recorded here: {_REMEDY}"


def _provider(provider: TracerProvider | None) -> Iterator[str]:
    if provider is None:
        yield "no tracer provider is configured in this process: spans go nowhere"
        return
    yield f"spans go to a {type(provider).__module__}.{type(provider).__qualname__}"
    if isinstance(provider.sampler, CoverageSampler):
        yield f"traced requests are always sampled, others by {provider.sampler.sampler.get_description()}"
    elif installed() is not None:
        yield (
            f"its sampler {provider.sampler.get_description()} decides on traced requests, too: "
            "otel_coverage.CoverageSampler goes around it"
        )


def _jobs() -> Iterator[str]:
    if "rq" not in sys.modules:
        yield "it does not import rq; where it does later, its jobs are wired then"
        return
    from otel_coverage.instrumentation.rq import RQInstrumentor

    if RQInstrumentor().is_instrumented_by_opentelemetry:
        yield "jobs that it enqueues with rq carry their trace and playback; start the workers in the same way"
    else:
        yield f"jobs that it enqueues with rq carry nothing: {_REMEDY}"


def _started() -> Iterator[str]:
    from otel_coverage.instrumentation import threads

    if threads.is_following():
        yield "threads, commands and processes that its requests start belong to them"
    else:
        yield f"threads, commands and processes that its requests start belong to nobody: {_REMEDY}"


def _neighbours() -> Iterator[str]:
    imported = [name for name in _CLIENTS if name in sys.modules]
    carrying = [name for name in imported if _carries(name)]
    silent = [name for name in imported if name not in carrying]
    if carrying:
        yield f"calls of other services over {', '.join(carrying)} carry their trace and playback"
    if silent:
        packages = " ".join(_CLIENTS[name][0] for name in silent)
        yield f"calls of other services over {', '.join(silent)} carry nothing: pip install {packages}, and {_REMEDY}"


def _carries(client: str) -> bool:
    _, module, instrumentor = _CLIENTS[client]
    found = sys.modules.get(f"opentelemetry.instrumentation.{module}")
    return found is not None and bool(getattr(found, instrumentor)().is_instrumented_by_opentelemetry)


def _views(app: Flask, settings: Settings) -> Iterator[str]:
    tree = SourceTree.from_rcfile(settings.source, settings.rcfile)
    files = {
        endpoint: inspect.unwrap(view).__code__.co_filename
        for endpoint, view in app.view_functions.items()
        if hasattr(inspect.unwrap(view), "__code__")
    }
    outside = sorted(endpoint for endpoint, file in files.items() if tree.locate(file) is None)
    inside = len(files) - len(outside)
    shown = ", ".join(outside[:5]) + (", …" if len(outside) > 5 else "")
    yield f"{inside} of its {len(files)} view functions are in the source{f'; not: {shown}' if outside else ''}"
