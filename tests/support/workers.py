"""Jobs that a traced context queues, workers that are started as their users start them, and the spans of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from opentelemetry import context as otel_context
from opentelemetry.context import Context

import otel_coverage
from otel_coverage.settings import Settings
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.playback import Playback
from tests.support.collector import Collector, ReceivedSpan
from tests.support.commands import RUN
from tests.support.traced import STORE_FRONT, Spans

JOBS = "store_front.jobs:"
SHIPPED = {JOBS + "ship", JOBS + "label"}


@pytest.fixture
def enqueuing(spans: Spans, store_front: None) -> None:
    """This process enqueues; workers in processes of their own perform."""
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT])


@contextmanager
def traced(spans: Spans, profile: str = "checkout") -> Iterator[None]:
    """The code inside is a profile's, in a span of its own."""
    token = otel_context.attach(with_playback(Context(), Playback(profile, "run-1"), Settings()))
    with spans.provider.get_tracer("t").start_as_current_span("work"):
        yield
    otel_context.detach(token)


def recording(collector: Collector, **environment: str) -> dict[str, str]:
    """The environment of a worker that records the store front's code, and others of its variables."""
    return {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        **environment,
    }


def work(url: str, *options: str, run: Sequence[str] = RUN) -> list[str]:
    """The command of a worker."""
    return [*run, "rq", "worker", "--url", url, *options]


def consumers(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
    """The entry spans of jobs."""
    return [span for span in spans if span.role == "consumer"]
