"""The sampler: traced contexts are always sampled, all others as the application's sampler decides."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

import otel_coverage
from otel_coverage import CoverageSampler
from otel_coverage.settings import Settings
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.export.provider import equip
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import Playback
from tests.support.collector import Collector
from tests.support.commands import RUN, call, gunicorn
from tests.support.traced import RECORDING, STORE_FRONT

TRACED = with_playback(Context(), Playback("checkout"), Settings())


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    yield
    otel_coverage.uninstrument()
    log.clear()


def provider_with(sampler: Sampler) -> tuple[TracerProvider, InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    provider = TracerProvider(sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return provider, kept


def names(kept: InMemorySpanExporter) -> list[str]:
    return [span.name for span in kept.get_finished_spans()]


def test_a_provider_that_samples_nothing_samples_what_is_traced() -> None:
    provider, kept = provider_with(ALWAYS_OFF)
    early = provider.get_tracer("early")
    equip(RECORDING, provider)
    for tracer in (early, provider.get_tracer("late")):
        tracer.start_span("untraced", Context()).end()
        with tracer.start_as_current_span("traced", TRACED, attributes={"own": 1}):
            tracer.start_span("child").end()
    assert names(kept) == ["child", "traced"] * 2
    assert all((span.attributes or {})["own"] == 1 for span in kept.get_finished_spans() if span.name == "traced")


def test_a_traced_request_is_sampled_though_its_caller_was_not() -> None:
    provider, kept = provider_with(ParentBased(ALWAYS_OFF))
    equip(RECORDING, provider)
    caller = NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(0)))
    tracer = provider.get_tracer("t")
    tracer.start_span("traced", trace.set_span_in_context(caller, TRACED), SpanKind.SERVER).end()
    tracer.start_span("untraced", trace.set_span_in_context(caller, Context()), SpanKind.SERVER).end()
    assert names(kept) == ["traced"]


def test_attributes_that_the_wrapped_sampler_adds_are_kept() -> None:
    class Marking(Sampler):
        def should_sample(self, *_arguments: object, **_more: object) -> SamplingResult:
            return SamplingResult(Decision.RECORD_ONLY, {"rate": 7})

        def get_description(self) -> str:
            return "Marking"

    provider, kept = provider_with(CoverageSampler(Marking()))
    equip(RECORDING, provider)
    provider.get_tracer("t").start_span("traced", TRACED, attributes={"own": 1}).end()
    (span,) = kept.get_finished_spans()
    assert {"own": 1, "rate": 7}.items() <= dict(span.attributes or {}).items()
    assert provider.sampler.get_description() == "CoverageSampler{Marking}"


def test_parts_are_sampled_as_well(store_front: None) -> None:
    goods = importlib.import_module("store_front.goods")
    provider, kept = provider_with(ALWAYS_OFF)
    provider.add_span_processor(otel_coverage.CoverageSpanProcessor(RECORDING, tracer_provider=provider, span_bytes=40))
    equip(RECORDING, provider)
    token = otel_context.attach(TRACED)
    with provider.get_tracer("t").start_as_current_span("work"):
        goods.names()
        goods.price("apple")
    otel_context.detach(token)
    assert "coverage.part" in names(kept)


def test_a_playback_without_a_valid_signature_is_not_sampled() -> None:
    provider, kept = provider_with(ALWAYS_OFF)
    equip(Settings(enabled=True, source=(STORE_FRONT,), token="secret"), provider)
    provider.get_tracer("t").start_span("forged", TRACED).end()
    assert names(kept) == []


def test_uninstrument_restores_the_providers_sampler() -> None:
    provider, kept = provider_with(ALWAYS_OFF)
    equip(RECORDING, provider)
    otel_coverage.uninstrument()
    assert provider.sampler is ALWAYS_OFF
    provider.get_tracer("t").start_span("traced", TRACED).end()
    assert names(kept) == []


@pytest.mark.parametrize("propagators", ["tracecontext,baggage", "tracecontext"])
def test_a_server_that_samples_nothing_records_traced_requests(propagators: str, collector: Collector) -> None:
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
        "OTEL_PROPAGATORS": propagators,
    }
    with gunicorn("store_front:create_app()", run=RUN, **environment) as client:
        client.get("/goods")
        client.get("/goods", headers={"X-Profile-Trace": "checkout", "traceparent": f"00-{'1' * 32}-{'2' * 16}-00"})
    (entry,) = collector.wait_for_roles("server")
    assert entry.trace_id == "1" * 32
    assert "store_front.goods:names" in entry.functions
    assert {span.attributes.get("playback.profile") for span in collector.spans} == {"checkout"}


def test_where_recording_is_off_the_sampler_is_not_wrapped(collector: Collector) -> None:
    done = call(
        [*RUN, "python", "-c", "from opentelemetry import trace; print(trace.get_tracer_provider().sampler)"],
        OTEL_TRACES_SAMPLER="always_off",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
    )
    assert "CoverageSampler" not in done.stdout
    assert "StaticSampler" in done.stdout
