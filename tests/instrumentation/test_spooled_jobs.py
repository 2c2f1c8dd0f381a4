"""Jobs whose spans wait in the spool: nothing waits for a collector, and nothing of a killed job is lost unsaid."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import rq
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from redis import Redis

from otel_coverage.settings import Settings
from otel_coverage.spool.status import SpoolStatus
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.playback import Playback
from tests.support.collector import Collector
from tests.support.commands import RUN, call, running, wait_until
from tests.support.traced import DATA, STORE_FRONT, Spans

pytestmark = pytest.mark.usefixtures("enqueuing")

JOBS = "store_front.jobs:"
SPAWN_WORKER = pytest.mark.since_rq(3)
WORKERS = {
    "Worker": ["rq", "worker", "--burst"],
    "SimpleWorker": ["rq", "worker", "--burst", "--worker-class", "rq.SimpleWorker"],
    "SpawnWorker": ["rq", "worker", "--burst", "--worker-class", "rq.SpawnWorker"],
    "worker-pool": ["rq", "worker-pool", "--burst", "--num-workers", "2"],
}
ALL = [pytest.param(name, marks=[SPAWN_WORKER] if name == "SpawnWorker" else [], id=name) for name in WORKERS]
FORK_SUPPORT: dict[str, dict[str, str]] = {
    "unset": {},
    "0": {"GRPC_ENABLE_FORK_SUPPORT": "0"},
    "1": {"GRPC_ENABLE_FORK_SUPPORT": "1"},
}
ASKS = """
def ask(target):
    import grpc
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
    with grpc.insecure_channel(target) as channel:
        TraceServiceStub(channel).Export(ExportTraceServiceRequest(), timeout=30)
    return "answered"
"""


@pytest.fixture
def black_hole() -> Iterator[str]:
    """The URL of a socket that accepts connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def spool(state_home: Path) -> Path:
    return state_home / "spool"


def enqueue(redis: Redis, spans: Spans, function: str, *args: object, profile: str = "checkout") -> rq.job.Job:
    context = with_playback(Context(), Playback(profile, "run-1"), Settings()) if profile else Context()
    token = otel_context.attach(context)
    try:
        with spans.provider.get_tracer("t").start_as_current_span("work"):
            return rq.Queue(connection=redis).enqueue(function, *args)
    finally:
        otel_context.detach(token)


def recording(endpoint: str, spool: Path, **environment: str) -> dict[str, str]:
    return {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_COVERAGE_SPOOL": str(spool),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        **environment,
    }


@pytest.mark.parametrize("support", FORK_SUPPORT)
@pytest.mark.parametrize("worker", ALL)
def test_jobs_that_use_grpc_themselves_run_while_the_collector_never_answers(
    worker: str,
    support: str,
    black_hole: str,
    collector: Collector,
    redis: Redis,
    redis_url: str,
    spans: Spans,
    spool: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "asking.py").write_text(ASKS)
    jobs = [
        enqueue(redis, spans, "asking.ask", collector.endpoint.removeprefix("http://")),
        enqueue(redis, spans, "store_front.jobs.ship", 3),
    ]
    path = os.pathsep.join([str(tmp_path), str(DATA)])
    environment = recording(black_hole, spool, PYTHONPATH=path, **FORK_SUPPORT[support])
    done = call([*RUN, *WORKERS[worker], "--url", redis_url], **environment)
    assert done.returncode == 0, done.stderr
    assert {str(job.get_status(refresh=True)) for job in jobs} == {"JobStatus.FINISHED"}
    assert SpoolStatus.of(spool).spans >= len(jobs)


def test_an_untraced_job_waits_in_the_spool_too(
    black_hole: str, redis: Redis, redis_url: str, spans: Spans, spool: Path
) -> None:
    enqueue(redis, spans, "store_front.jobs.ship", 3, profile="")
    call([*RUN, *WORKERS["Worker"], "--url", redis_url], **recording(black_hole, spool))
    assert SpoolStatus.of(spool).spans >= 1


def test_without_a_spool_jobs_are_sent_as_they_end(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans, spool: Path
) -> None:
    enqueue(redis, spans, "store_front.jobs.ship", 3)
    environment = recording(collector.endpoint, spool, OTEL_COVERAGE_SPOOL="off")
    call([*RUN, *WORKERS["Worker"], "--url", redis_url], **environment)
    assert len(collector.wait_for_roles("consumer")) == 1
    assert not spool.exists()


@pytest.mark.parametrize("victim", ["work horse", "worker and work horse"])
def test_a_job_that_was_killed_outright_is_known_to_have_begun(
    victim: str, collector: Collector, redis: Redis, redis_url: str, spans: Spans, spool: Path, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    job = enqueue(redis, spans, "store_front.jobs.last")
    worker = [*RUN, "rq", "worker", "--url", redis_url]
    with running(worker, **recording(collector.endpoint, spool, STARTED=str(started))) as process:
        wait_until(lambda: started.exists() and started.read_text())
        if victim == "work horse":
            os.kill(int(started.read_text()), signal.SIGKILL)
        else:
            os.killpg(process.pid, signal.SIGKILL)
            os.kill(int(started.read_text()), signal.SIGKILL)
        (begun,) = collector.wait_for_roles("begun")
    (producer,) = spans.with_role("producer")
    assert producer.context is not None
    assert begun.parent_id == f"{producer.context.span_id:016x}"
    assert begun.trace_id == f"{producer.context.trace_id:032x}"
    assert begun.attributes["playback.profile"] == "checkout"
    assert begun.attributes["playback.run_id"] == "run-1"
    assert begun.attributes["coverage.begun_role"] == "consumer"
    assert begun.attributes["process.pid"] == int(started.read_text())
    assert job.id in begun.name
    assert "store_front.jobs.last" in begun.name
    assert begun.resource["service.name"]


def test_of_jobs_that_ended_none_is_reported_as_begun(
    collector: Collector, redis: Redis, redis_url: str, spans: Spans, spool: Path
) -> None:
    for _ in range(5):
        enqueue(redis, spans, "store_front.jobs.ship", 3)
    call([*RUN, *WORKERS["Worker"], "--url", redis_url], **recording(collector.endpoint, spool))
    collector.wait_for_roles("consumer", 5)
    wait_until(lambda: SpoolStatus.of(spool).sender is None)
    assert {span.role for span in collector.spans} & {"consumer", "begun"} == {"consumer"}
