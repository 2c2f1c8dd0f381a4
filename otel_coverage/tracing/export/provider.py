"""The tracer provider: the application's own where it has one, else one made from the standard variables."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any, cast

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.util._importlib_metadata import entry_points  # it keeps what it has read

from otel_coverage.errors import ConfigurationError
from otel_coverage.revision import UNKNOWN
from otel_coverage.settings import Settings
from otel_coverage.spool import service
from otel_coverage.spool.begun import settled
from otel_coverage.spool.lost_counts import LostCount
from otel_coverage.tracing import code_revision, tally
from otel_coverage.tracing.code_revision import REVISION
from otel_coverage.tracing.export.batching import CountingSpanProcessor
from otel_coverage.tracing.export.encoding import encode_request
from otel_coverage.tracing.export.exporter import BoundedSpanExporter
from otel_coverage.tracing.export.forked_provider import ForkedTracerProvider
from otel_coverage.tracing.forks import is_uwsgi
from otel_coverage.tracing.log import log
from otel_coverage.tracing.metrics import Gauges, metrics
from otel_coverage.tracing.process_resource import ProcessResource
from otel_coverage.tracing.processor import CoverageSpanProcessor
from otel_coverage.tracing.recorder import installed
from otel_coverage.tracing.sampler import unwrap_sampler, wrap_sampler

LEAVING_SECONDS = 1.5  # that the end of the process takes at most because of spans that are not delivered

_GRPC = "otlp_proto_grpc"
_LATE = (_GRPC, "otlp_proto_http")  # the exporters that may be imported by the first export

_ours: list[CountingSpanProcessor] = []
_makers: list[ExporterMaker] = []  # theirs
_made: TracerProvider | None = None  # ours
_marking: list[CoverageSpanProcessor] = []  # those of the equipped providers
_is_spooling = False
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
        code_revision.install(settings, str((provider.resource.attributes or {}).get(REVISION) or UNKNOWN))
        marking = CoverageSpanProcessor(settings, tracer_provider=provider)
        marking.is_on_ours = provider is _made
        provider.add_span_processor(marking)
        _marking.append(marking)
        wrap_sampler(provider)
        _equipped.add(provider)
        recorder = installed()
        if recorder is not None:
            recorder.flush = flush
    return provider


def configured_provider() -> TracerProvider | None:
    """The global provider if it is the SDK's, else None."""
    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, TracerProvider) else None


def is_ours(provider: TracerProvider) -> bool:
    """Whether this module has made it."""
    return provider is _made


def spool_from_here() -> bool:
    """Append spans to the spool as they end, in this process and in children forked from now on: no thread is made.

    For processes that end soon, or fork such ones. Never raises. Doing it twice changes nothing.

    Returns:
        Whether there is a spool: not on the application's own provider, nor with exporters that are not OTLP's.
    """
    global _is_spooling
    if _is_spooling or not _ours:
        return _is_spooling
    try:
        spool = service.installed()
        if spool is None or not spool.prepare(_resource()):
            return False
        for processor in _ours:
            if processor.only_keeps:
                processor.export_inline()
                _is_spooling = True
    except Exception as error:
        log.failed("switching to the spool", error)
    return _is_spooling


def appends_to_spool() -> bool:
    """Whether the spans of this process go to a spool: not on the application's own provider."""
    return any(processor.only_keeps for processor in _ours)


def wait_for_sender(timeout: float) -> None:
    """Wait until what the service has spooled is sent; not for a receiver that does not answer. Never raises.

    For the process that a container ends with: the process that sends ends with it, too.

    Args:
        timeout: seconds.
    """
    spool = service.installed() if appends_to_spool() else None
    if spool is not None:
        flush(timeout)
        spool.wait(timeout)


def _wait_as_first_process() -> None:
    if os.getpid() == 1:  # not in a child that was forked since: the container goes on without it
        wait_for_sender(LEAVING_SECONDS)


def _resource() -> Resource | None:
    provider = configured_provider()
    return None if provider is None else provider.resource


def prepare() -> None:
    """Make, import and open what the first span and its export need, so that a child forked for one job need not."""
    for processor in _marking:
        processor.prepare()
    if spool_from_here():
        spool = service.installed()
        if spool is not None:
            spool.prepare(_resource())
        return
    for make in _makers:
        with suppress(Exception):  # reported by the export
            make.load()
    if "grpc" in sys.modules:
        with suppress(ImportError):
            import_module("grpc._channel")  # loaded by the first channel otherwise; opens none


def may_start_before_fork(tracer: trace.Tracer) -> bool:
    """Whether a span that starts in this process may end in a child that is forked then: nobody but us looks at it."""
    processors = getattr(getattr(tracer, "span_processor", None), "_span_processors", ())
    return _is_spooling and bool(processors) and all(each in (*_ours, *_marking) for each in processors)


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


class ExporterMaker:
    """Makes exporters of one kind. Those of OTLP are imported for the first: gRPC takes longer than the SDK.

    Args:
        entry_point: names the class.
    """

    def __init__(self, entry_point: EntryPoint) -> None:
        self._entry_point = entry_point

    @property
    def is_otlp(self) -> bool:
        """Whether its exporters speak OTLP, which the sender of a spool does, too."""
        return self._entry_point.name in _LATE

    def begin(self) -> None:
        """Import what cannot be imported any more when the process ends, which may be when the first is made.

        Raises:
            ConfigurationError: it cannot be imported.
        """
        if self._entry_point.name in _LATE:
            with suppress(ImportError):
                import_module("opentelemetry.sdk._logs")  # makes a resource when it is imported, with threads
        else:
            self.load()

    def load(self) -> Callable[..., SpanExporter]:
        """Import the class.

        Raises:
            ConfigurationError: it cannot be imported.
        """
        try:
            exporter = self._entry_point.load()
            return cast(
                "Callable[..., SpanExporter]", _encoding(exporter) if self._entry_point.name == _GRPC else exporter
            )
        except ImportError as error:
            raise ConfigurationError(
                f"OTEL_TRACES_EXPORTER names the exporter {self._entry_point.name!r}, which cannot be imported: {error}"
            ) from error

    def __call__(self, **arguments: Any) -> SpanExporter:
        """A new exporter."""
        return self.load()(**arguments)


def _encoding(exporter: type[Any]) -> type[Any]:
    """OTLP's exporter over gRPC with our encoder: a span with 500 functions takes 0.2 ms instead of 1.2.

    The standard one makes the message in a method of its own. A release that does so elsewhere would not call ours, and
    encode as before.
    """
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    def _translate_data(_: object, spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
        request: ExportTraceServiceRequest = ExportTraceServiceRequest.FromString(encode_request(spans))
        return request

    return type(exporter.__name__, (exporter,), {"_translate_data": _translate_data, "__module__": exporter.__module__})


def exporter_makers(environ: Mapping[str, str] | None = None) -> dict[str, ExporterMaker]:
    """What makes the exporters that ``OTEL_TRACES_EXPORTER`` names, by entry point; OTLP over gRPC by default.

    Raises:
        ConfigurationError: one of them is not installed.
    """
    environ = os.environ if environ is None else environ
    makers: dict[str, ExporterMaker] = {}
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
        makers[name] = ExporterMaker(next(iter(found)))
    return makers


def forget() -> None:
    """Give the equipped providers their own samplers back, and forget them; their span processors stay, inactive."""
    global _is_spooling, _made
    _made = None
    for provider in _equipped:
        unwrap_sampler(provider)
    _is_spooling = False
    metrics.forget()
    service.uninstall()
    _ours.clear()
    _makers.clear()
    _marking.clear()
    _equipped.clear()
    code_revision.uninstall()


def _make(settings: Settings) -> TracerProvider:
    global _made
    makers = exporter_makers()
    service.install(settings)
    resource = Resource.create()
    given = str((resource.attributes or {}).get(REVISION) or "")
    code = code_revision.install(settings, given) if settings.enabled else None
    if os.getpid() == 1:
        atexit.register(_wait_as_first_process)  # registered before the provider's shutdown: it runs after it
    provider = ForkedTracerProvider(resource=ProcessResource(resource, code))
    for make in makers.values():
        exporter = _exporter(make)
        exporter.on_lost = _lose
        processor = CountingSpanProcessor(exporter, patience=LEAVING_SECONDS, report=_report_counts)
        if is_uwsgi() and processor.only_keeps:
            processor.export_inline()
        provider.add_span_processor(processor)
        _ours.append(processor)
        _makers.append(make)
    trace.set_tracer_provider(provider)
    _made = provider
    metrics.observe(Gauges(export_counts, _queued_bytes, _spooled_bytes))
    return provider


def export_counts() -> dict[str, int]:
    """How many spans of this process were ``delivered``, ``spooled`` and ``lost``, on our provider."""
    counts = [processor.counts for processor in _ours]
    return {outcome: sum(getattr(each, outcome) for each in counts) for outcome in ("delivered", "spooled", "lost")}


def _queued_bytes() -> int:
    return sum(processor.queued_bytes for processor in _ours)


def _spooled_bytes() -> int | None:
    spool = service.installed()
    return None if spool is None else spool.spool.unsent_bytes()


def _lose(spans: Sequence[ReadableSpan]) -> None:
    """Spans are given up: that is counted, and noted for the case that this process ends before it can report it."""
    counts = tally.dropped(spans)
    spool = service.installed()
    if counts and spool is not None and spool.lost([LostCount(*count) for count in counts]):
        settled(spans)


def _report_counts() -> None:
    recorder = installed()
    if recorder is not None:
        recorder.report()


def _exporter(make: ExporterMaker) -> BoundedSpanExporter:
    """To the spool where there is one: it takes what the receiver would not, and a file survives a fork.

    A channel of gRPC's does not: with one that is open, one in some hundred forks of this process never returns, or
    crashes it (grpcio 1.85, whatever GRPC_ENABLE_FORK_SUPPORT says, also where the channel is closed before).
    """
    spool = service.installed()
    if spool is not None and make.is_otlp:
        from otel_coverage.spool.exporter import SpoolExporter

        return BoundedSpanExporter(None, SpoolExporter(spool))
    make.begin()
    return BoundedSpanExporter(make)
