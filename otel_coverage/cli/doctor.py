"""``otel-coverage doctor``."""

from __future__ import annotations

import logging
import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

import click
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_coverage import __version__
from otel_coverage.cli.application import application_lines
from otel_coverage.coveragepy import wants_branches
from otel_coverage.errors import ConfigurationError, OtelCoverageError, UnreachableError
from otel_coverage.recording import branch_edges, open_engine, select_backend
from otel_coverage.revision import revision_of
from otel_coverage.settings import ENVIRONMENT_PREFIX, PYPROJECT_TABLE, Settings
from otel_coverage.source import SourceTree
from otel_coverage.tracing.context import current_recording
from otel_coverage.tracing.exporter import MESSAGE_BYTES
from otel_coverage.tracing.processor import SPAN_BYTES
from otel_coverage.tracing.provider import REVISION, exporter_makers

PACKAGES = (
    "flask",
    "rq",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-flask",
    "opentelemetry-instrumentation-threading",
    "opentelemetry-exporter-otlp-proto-grpc",
    "coverage",
)
PATIENCE = 3.0


@click.command()
@click.option("--app", "name", metavar="MODULE:NAME", help="Import this application, too, and say how it is wired.")
def command(name: str | None) -> None:
    """Say in words what is wired here and what is not.

    Run it where the application runs: same folder, same environment; with --app also started in the same way. Exit code
    1 where the collector does not answer, 2 where a setting cannot be used.

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
        *([] if name is None else [("app", lambda: application_lines(name, settings))]),
    ):
        try:
            for line in describe():
                click.echo(f"{topic:<10} {line}")
        except OtelCoverageError as error:
            click.echo(f"{topic:<10} WRONG: {error}")
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
    in_file = Settings.load(environ={})
    for field in fields(Settings):
        variable = ENVIRONMENT_PREFIX + field.name.upper()
        value = "***" if field.name == "token" and settings.token else getattr(settings, field.name)
        if variable in os.environ:
            origin = variable
        elif getattr(in_file, field.name) != field.default:
            origin = f"[{PYPROJECT_TABLE}] in pyproject.toml"
        else:
            origin = "default"
        yield f"{field.name} = {value!r} ({origin})"


def _engine(settings: Settings) -> Iterator[str]:
    wanted = wants_branches(settings.rcfile)
    engine = open_engine(settings.engine, settings.granularity, SourceTree(["."]), current_recording(), branch=wanted)
    name = engine.name
    engine.close()
    if settings.engine != "auto":
        reason = f"chosen by {ENVIRONMENT_PREFIX}ENGINE or pyproject.toml"
    elif name == "monitoring":
        reason = "sys.monitoring is there from CPython 3.12 on"
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
            else "they come with lines: OTEL_COVERAGE_GRANULARITY=line"
        )
        yield f"no branches, though {settings.rcfile} says branch = true: {reason}"


def _tool_ids() -> Iterator[str]:
    if sys.version_info < (3, 12):
        yield "this Python has none"
        return
    taken = {number: sys.monitoring.get_tool(number) for number in range(6)}
    names = ", ".join(f"{number}: {name}" for number, name in taken.items() if name)
    yield f"in this process {names or 'none is taken'}; an application's own tools are seen only in the application"


def _source(settings: Settings) -> Iterator[str]:
    files = list(SourceTree.from_rcfile(settings.source, settings.rcfile).files())
    yield f"{len(files)} files: {', '.join(file.path for file in files[:5])}{', …' if len(files) > 5 else ''}"


def _revision(settings: Settings) -> Iterator[str]:
    tree = SourceTree.from_rcfile(settings.source, settings.rcfile)
    revision = revision_of([root.folder for root in tree.roots])
    if REVISION in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        yield "named by OTEL_RESOURCE_ATTRIBUTES"
    else:
        yield revision or f"unknown, no git work tree: name it in OTEL_RESOURCE_ATTRIBUTES={REVISION}=…"


def _packages() -> Iterator[str]:
    for name in PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} is not installed"


def _service() -> Iterator[str]:
    if os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        yield os.environ.get("OTEL_SERVICE_NAME") or "named by OTEL_RESOURCE_ATTRIBUTES"
    else:
        yield "has no name: OTEL_SERVICE_NAME gives it one"
    yield (
        f"on a tracer provider of your own, OTEL_BSP_MAX_EXPORT_BATCH_SIZE={MESSAGE_BYTES // SPAN_BYTES} keeps "
        "messages below the 4 MiB that receivers take; ours sees to that itself"
    )


def _collector() -> Iterator[str]:
    makers = exporter_makers()
    if not makers:
        yield "OTEL_TRACES_EXPORTER says none: spans go nowhere"
    for name, make in makers.items():
        if name == "console":
            yield "spans go to the console"
            continue
        endpoint = (
            os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
            or f"http://localhost:{4318 if name == 'otlp_proto_http' else 4317}"
        )
        if not (_listens(endpoint) and _answers(make)):
            raise UnreachableError(
                f"{endpoint} does not answer ({name}): start a collector there, or name another in "
                "OTEL_EXPORTER_OTLP_ENDPOINT"
            )
        yield f"{endpoint} answers ({name})"


def _listens(endpoint: str) -> bool:
    """Whether anybody does: an exporter would try again and again for as long as it may."""
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    try:
        if parts.port is None:
            return True  # the exporter knows which port it means
        with socket.create_connection((parts.hostname or "localhost", parts.port), PATIENCE):
            return True
    except ValueError as error:
        raise ConfigurationError(f"OTEL_EXPORTER_OTLP_ENDPOINT: {endpoint}: {error}") from error
    except OSError:
        return False


def _answers(make: Callable[..., SpanExporter]) -> bool:
    """Whether an export without spans is accepted: all that the environment says of the connection is tried with it."""
    chatter = logging.getLogger("opentelemetry")
    level = chatter.level
    chatter.setLevel(logging.CRITICAL)
    try:
        exporter = make(timeout=PATIENCE)
        accepted = exporter.export([]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    except Exception as error:
        raise ConfigurationError(f"OTEL_EXPORTER_OTLP_*: {error}") from error
    finally:
        chatter.setLevel(level)
    return accepted
