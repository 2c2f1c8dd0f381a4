"""What tracing and recording would be in a process of this environment."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from otel_coverage import __version__
from otel_coverage.coveragepy import wants_branches
from otel_coverage.recording import branch_edges, open_engine, select_backend
from otel_coverage.revision import revision_of
from otel_coverage.settings import Settings, setting_names
from otel_coverage.source import SourceTree
from otel_coverage.tracing.code_revision import REVISION
from otel_coverage.tracing.context import current_recording

_PACKAGES = (
    "flask",
    "rq",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-flask",
    "opentelemetry-instrumentation-threading",
    "opentelemetry-exporter-otlp-proto-grpc",
    "coverage",
)


def topics(settings: Settings) -> list[tuple[str, Callable[[], Iterator[str]]]]:
    """Each topic by its name, and what yields its lines, or raises an ``OtelCoverageError``."""
    return [
        ("python", _python),
        ("settings", lambda: _settings(settings)),
        ("engine", lambda: _engine(settings)),
        ("tool ids", _tool_ids),
        ("source", lambda: _source(settings)),
        ("revision", lambda: _revision(settings)),
        ("packages", _packages),
    ]


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
    for name in _PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} is not installed"
