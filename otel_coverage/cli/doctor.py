"""``otel-coverage doctor``."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_coverage import __version__
from otel_coverage.coveragepy import wants_branches
from otel_coverage.errors import ConfigurationError, OtelCoverageError, UnreachableError
from otel_coverage.instrumentation import asgi_apps
from otel_coverage.instrumentation.unfollowed import REMEDY, unfollowed_framework
from otel_coverage.recording import branch_edges, open_engine, select_backend
from otel_coverage.revision import revision_of
from otel_coverage.settings import ENVIRONMENT_PREFIX, Settings, setting_names
from otel_coverage.source import SourceTree
from otel_coverage.spool.folder import spool_folder
from otel_coverage.spool.receiver import is_otlp
from otel_coverage.spool.spool_file import is_supported
from otel_coverage.spool.status import SpoolStatus
from otel_coverage.tracing.code_revision import REVISION
from otel_coverage.tracing.context import current_recording
from otel_coverage.tracing.exporter import MESSAGE_BYTES
from otel_coverage.tracing.processor import SPAN_BYTES
from otel_coverage.tracing.provider import (
    LEAVING_SECONDS,
    configured_provider,
    export_counts,
    exporter_makers,
    is_ours,
)
from otel_coverage.tracing.recorder import installed
from otel_coverage.tracing.sampler import CoverageSampler

if TYPE_CHECKING:
    from flask import Flask

PACKAGES = (
    "flask",
    "rq",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-flask",
    "opentelemetry-instrumentation-threading",
    "opentelemetry-exporter-otlp-proto-grpc",
    "coverage",
)
PATIENCE = 3.0  # seconds

# the OpenTelemetry instrumentation of each HTTP client: package on PyPI, module and class
_CLIENTS = {
    "aiohttp": ("opentelemetry-instrumentation-aiohttp-client", "aiohttp_client", "AioHttpClientInstrumentor"),
    "httpx": ("opentelemetry-instrumentation-httpx", "httpx", "HTTPXClientInstrumentor"),
    "requests": ("opentelemetry-instrumentation-requests", "requests", "RequestsInstrumentor"),
    "urllib3": ("opentelemetry-instrumentation-urllib3", "urllib3", "URLLib3Instrumentor"),
}

_REMEDY = "start it by 'otel-coverage run --', or call otel_coverage.instrument(app)"


@click.command()
@click.option(
    "--app", "name", metavar="MODULE:NAME", help="Import this application, too, and report how it is instrumented."
)
def command(name: str | None) -> None:
    """Report what is set up here for tracing and recording, and what is not.

    Run it where the application runs: same folder, same environment; with --app also started in the same way. Exit code
    1 means that the collector does not answer, 2 that a setting cannot be used.

    \b
    Examples:
      otel-coverage doctor
      otel-coverage doctor --app shop:app                                 an application that is instrumented in code
      otel-coverage run -- otel-coverage doctor --app 'shop:create_app()' one that is started by run
    """
    settings = Settings.load()
    failure: OtelCoverageError | None = None
    for topic, describe in (
        ("python", _python),
        ("settings", lambda: _settings(settings)),
        ("engine", lambda: _engine(settings)),
        ("tool ids", _tool_ids),
        ("source", lambda: _source(settings)),
        ("revision", lambda: _revision(settings)),
        ("packages", _packages),
        ("service", _service),
        ("collector", _collector),
        *([("store", lambda: _store(store))] if (store := os.environ.get("OTEL_COVERAGE_STORE")) else []),
        ("spool", lambda: _spool(settings)),
        *([] if name is None else [("app", lambda: _application(name, settings))]),
    ):
        try:
            for line in describe():
                click.echo(f"{topic:<10} {line}")
        except OtelCoverageError as error:
            click.echo(f"{topic:<10} problem: {error}")
            failure = failure or error
    if failure is not None:
        click.echo(f"otel-coverage: {failure}", err=True)
        sys.exit(1 if isinstance(failure, UnreachableError) else failure.exit_code)


def _python() -> Iterator[str]:
    yield f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    yield f"otel-coverage {__version__}"


def _settings(settings: Settings) -> Iterator[str]:
    if not settings.enabled:
        yield "recording is off: OTEL_COVERAGE_ENABLED=1 switches it on"
    origins = dict(settings.origins)
    for name in setting_names():
        value = "***" if name == "token" and settings.token else getattr(settings, name)
        yield f"{name} = {value!r} ({origins.get(name, 'default')})"


def _engine(settings: Settings) -> Iterator[str]:
    wanted = wants_branches(settings.rcfile)
    engine = open_engine(settings.engine, settings.granularity, SourceTree(["."]), current_recording(), branch=wanted)
    name = engine.name
    engine.close()
    if settings.engine != "auto":
        reason = f"chosen by {settings.origin('engine')}"
    elif name == "monitoring":
        reason = "CPython 3.12 and newer have sys.monitoring"
    else:
        reason = "sys.monitoring needs CPython 3.12"
    yield f"{name}, by {settings.granularity}: {reason}"
    if name == "monitoring":
        backend = select_backend()
        yield f"callbacks in {backend.name.capitalize()}: {backend.reason}"
    if wanted and engine.branch:
        yield f"branches too: {settings.rcfile} says branch = true"
    elif wanted:
        reason = (
            branch_edges.UNSUPPORTED_REASON
            if settings.granularity == "line"
            else "only OTEL_COVERAGE_GRANULARITY=line records them"
        )
        yield f"no branches, though {settings.rcfile} says branch = true: {reason}"


def _tool_ids() -> Iterator[str]:
    if sys.version_info < (3, 12):
        yield "none: sys.monitoring needs CPython 3.12"
        return
    taken = {number: sys.monitoring.get_tool(number) for number in range(6)}
    names = ", ".join(f"{number}: {name}" for number, name in taken.items() if name)
    yield f"in use in this process: {names or 'none'}; tools that an application registers are seen only there"


def _source(settings: Settings) -> Iterator[str]:
    files = list(SourceTree.of(settings).files())
    yield f"{len(files)} files: {', '.join(file.path for file in files[:5])}{', …' if len(files) > 5 else ''}"


def _revision(settings: Settings) -> Iterator[str]:
    tree = SourceTree.of(settings)
    revision = revision_of([root.folder for root in tree.roots])
    if REVISION in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        yield "set by OTEL_RESOURCE_ATTRIBUTES"
    else:
        yield revision or f"unknown, since the source is in no git work tree: set OTEL_RESOURCE_ATTRIBUTES={REVISION}=…"


def _packages() -> Iterator[str]:
    for name in PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} is not installed"


def _service() -> Iterator[str]:
    if os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        yield os.environ.get("OTEL_SERVICE_NAME") or "set by OTEL_RESOURCE_ATTRIBUTES"
    else:
        yield "no service name: set OTEL_SERVICE_NAME"
    yield (
        f"on a tracer provider of your own, set OTEL_BSP_MAX_EXPORT_BATCH_SIZE={MESSAGE_BYTES // SPAN_BYTES}: "
        "receivers accept messages up to 4 MiB (the provider of otel-coverage limits them itself)"
    )


def _collector() -> Iterator[str]:
    makers = exporter_makers()
    if not makers:
        yield "OTEL_TRACES_EXPORTER=none: no span is exported"
    for name, make in makers.items():
        if name == "console":
            yield "spans are printed to the console"
            continue
        endpoint = (
            os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
            or f"http://localhost:{4318 if name == 'otlp_proto_http' else 4317}"
        )
        if not (_listens(endpoint) and _answers(make)):
            raise UnreachableError(
                f"{endpoint} does not answer ({name}): start a collector there, or set "
                "OTEL_EXPORTER_OTLP_ENDPOINT to the address of one"
            )
        yield f"{endpoint} answers ({name})"


def _store(dsn: str) -> Iterator[str]:
    """Whether the store has what was accepted for it; :mod:`otel_coverage.store` comes with an extra."""
    from otel_coverage.cli.stores import open_store
    from otel_coverage.store import batches, parts

    with open_store(dsn, read_only=True) as store:
        yield f"{store.dsn} answers"
        for part in parts.detached_parts(store):
            yield f"problem: {part}"
        unfinished = batches.unfinished(store)
        if unfinished:
            spans = sum(len(batch.keys) for batch in unfinished)
            yield f"problem: {spans} spans were not found whole after they were inserted; the collector's log says why"


def _spool(settings: Settings) -> Iterator[str]:
    folder = spool_folder(settings) if is_supported() else None
    if not is_otlp():
        yield "none: OTEL_TRACES_EXPORTER names no exporter of OTLP"
    elif folder is None:
        yield (
            "off: spans are sent by each process itself, over gRPC, which does not survive every fork; what the "
            "collector has not accepted when a process ends is lost"
        )
    elif not folder.is_dir():
        yield f"{folder}: nothing was ever kept there"
    else:
        yield from _spool_status(SpoolStatus.of(folder))


def _spool_status(status: SpoolStatus) -> Iterator[str]:
    since = f" since {status.oldest:%Y-%m-%d %H:%M:%S} UTC" if status.oldest is not None else ""
    yield f"{status.folder}: {status.spans} spans ({status.bytes} bytes) wait{since}"
    if status.sender is not None:
        yield f"process {status.sender} sends them to {status.endpoint}"
    elif status.spans:
        yield "no process sends them: the next process of the service starts one, or otel-coverage spool flush sends"
    if status.error:
        yield f"the last attempt failed: {status.error}"
    if status.refused:
        yield f"{status.refused} spans were refused by the collector and are kept aside"
    if status.damaged_bytes:
        yield f"{status.damaged_bytes} bytes cannot be read"


def _listens(endpoint: str) -> bool:
    """Whether something listens there. Asked first, since an exporter retries until its timeout."""
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    try:
        if parts.port is None:
            return True  # the exporter has a default
        with socket.create_connection((parts.hostname or "localhost", parts.port), PATIENCE):
            return True
    except ValueError as error:
        raise ConfigurationError(f"OTEL_EXPORTER_OTLP_ENDPOINT: {endpoint}: {error}") from error
    except OSError:
        return False


def _answers(make: Callable[..., SpanExporter]) -> bool:
    """Whether an export without spans succeeds, over the connection that the environment configures."""
    sdk_logger = logging.getLogger("opentelemetry")
    level = sdk_logger.level
    sdk_logger.setLevel(logging.CRITICAL)
    try:
        exporter = make(timeout=PATIENCE)
        accepted = exporter.export([]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    except Exception as error:
        raise ConfigurationError(f"OTEL_EXPORTER_OTLP_*: {error}") from error
    finally:
        sdk_logger.setLevel(level)
    return accepted


def _application(name: str, settings: Settings) -> Iterator[str]:
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
