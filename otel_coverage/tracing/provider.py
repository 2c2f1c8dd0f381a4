"""The tracer provider: the application's own where it has one, else one made from the standard variables."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from otel_coverage.errors import ConfigurationError
from otel_coverage.revision import revision_of
from otel_coverage.settings import Settings
from otel_coverage.source import SourceTree
from otel_coverage.tracing.batching import CountingSpanProcessor
from otel_coverage.tracing.exporter import BoundedSpanExporter
from otel_coverage.tracing.log import log
from otel_coverage.tracing.processor import CoverageSpanProcessor
from otel_coverage.tracing.sampler import unwrap_sampler, wrap_sampler

VERSION = "service.version"
REVISION = "vcs.ref.head.revision"

_ours: list[CountingSpanProcessor] = []
_equipped: weakref.WeakSet[TracerProvider] = weakref.WeakSet()


def equip(settings: Settings, provider: TracerProvider | None = None) -> TracerProvider:
    """A provider whose entry spans carry coverage: the one given, else the global one, else a new global one of ours.

    Spans of traced contexts are sampled whatever the provider's sampler decides. Where recording is not enabled the
    provider makes plain spans. Equipping twice changes nothing.

    Raises:
        ConfigurationError: a setting, or the exporter that the environment names, cannot be used.
    """
    provider = provider or configured_provider() or _make(settings)
    if settings.enabled and provider not in _equipped:
        provider.add_span_processor(CoverageSpanProcessor(settings, tracer_provider=provider))
        wrap_sampler(provider)
        _equipped.add(provider)
    return provider


def configured_provider() -> TracerProvider | None:
    """The global provider if it is the SDK's, else None."""
    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, TracerProvider) else None


def prepare() -> None:
    """Import what the first export needs, so that a child forked for one job need not."""
    if "grpc" in sys.modules:
        with suppress(ImportError):
            import_module("grpc._channel")  # loaded by the first channel otherwise; opens none


def flush(timeout: float) -> bool:
    """Send the spans that have ended. Never raises.

    Args:
        timeout: seconds.

    Returns:
        Whether the receiver accepted them all. On the application's own provider only whether its processors flushed:
        the SDK does not count what its exporters could not deliver.
    """
    flushes: list[Callable[[], bool]] = [partial(processor.flush, timeout) for processor in _ours]
    if not flushes:
        theirs = {*_equipped, configured_provider()} - {None}
        flushes = [partial(provider.force_flush, int(timeout * 1000)) for provider in theirs if provider is not None]
    outcomes = [_succeeds(flush) for flush in flushes]  # a list: all are flushed
    return all(outcomes)


def _succeeds(flush: Callable[[], bool]) -> bool:
    try:
        return flush()
    except Exception as error:  # the system may have no thread left; other processors may raise anything
        log.failed("sending spans", error)
        return False


def resource_attributes(settings: Settings, given: Mapping[str, object]) -> dict[str, str]:
    """The revision of the source tree, as each of ``service.version`` and ``vcs.ref.head.revision`` not ``given``."""
    missing = [name for name in (VERSION, REVISION) if not given.get(name)]
    if not missing:
        return {}
    revision = given.get(REVISION) or revision_of([root.folder for root in _tree(settings).roots])
    return {name: str(revision) for name in missing} if revision else {}


def exporter_makers(environ: Mapping[str, str] | None = None) -> dict[str, Callable[[], SpanExporter]]:
    """The classes of the exporters that ``OTEL_TRACES_EXPORTER`` names, by entry point; OTLP over gRPC by default.

    Raises:
        ConfigurationError: one of them is not installed.
    """
    environ = os.environ if environ is None else environ
    makers: dict[str, Callable[[], SpanExporter]] = {}
    for chosen in (environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(","):
        name = chosen.strip()
        if name in ("", "none"):
            continue
        if name == "otlp":
            protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
            name = "otlp_proto_http" if (protocol or "grpc").strip() == "http/protobuf" else "otlp_proto_grpc"
        found = entry_points(group="opentelemetry_traces_exporter", name=name)
        if not found:
            raise ConfigurationError(
                f"OTEL_TRACES_EXPORTER (or OTEL_EXPORTER_OTLP_PROTOCOL) names the exporter {name!r}, which is not "
                "installed; install its package, or unset the variable for OTLP over gRPC"
            )
        makers[name] = next(iter(found)).load()
    return makers


def forget() -> None:
    """Give the equipped providers their own samplers back, and forget them; their span processors stay, inactive."""
    for provider in _equipped:
        unwrap_sampler(provider)
    _ours.clear()
    _equipped.clear()


def _make(settings: Settings) -> TracerProvider:
    makers = exporter_makers()
    resource = Resource.create()
    if settings.enabled:
        resource = resource.merge(Resource(dict(resource_attributes(settings, resource.attributes))))
    provider = TracerProvider(resource=resource)
    for make in makers.values():
        processor = CountingSpanProcessor(BoundedSpanExporter(make))
        provider.add_span_processor(processor)
        _ours.append(processor)
    trace.set_tracer_provider(provider)
    return provider


def _tree(settings: Settings) -> SourceTree:
    return SourceTree.from_rcfile(settings.source, settings.rcfile)
