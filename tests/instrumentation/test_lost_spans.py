"""What a process tells of spans that it had to give up: counted for each run, and told once it can."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.support.collector import Collector, ReceivedSpan, running_collector
from tests.support.commands import PATIENCE, RUN, call, gunicorn, running, wait_for_answer, wait_until
from tests.support.ports import free_port
from tests.support.servers import SERVERS, serving
from tests.support.traced import STORE_FRONT

RUNS = {"night-1": 12, "night-2": 9}


def counts(spans: list[ReceivedSpan], run: str) -> dict[str, int]:
    """What the newest of the spans that tell say of the run."""
    told = [
        span.attributes for span in spans if span.role == "counts" and span.attributes.get("playback.run_id") == run
    ]
    return {name: told[-1][f"coverage.{name}"] for name in ("recorded", "dropped")} if told else {}


def adds_up(spans: list[ReceivedSpan]) -> bool:
    """Whether some requests of each run are told to be lost, and the others have arrived, perhaps more than once."""
    arrived = Counter(
        {span.span_id: span.attributes["playback.run_id"] for span in spans if span.role == "server"}.values()
    )
    told = {run: counts(spans, run) for run in RUNS}
    return all(
        told[run] and told[run]["dropped"] and told[run]["recorded"] == number == told[run]["dropped"] + arrived[run]
        for run, number in RUNS.items()
    )


def test_of_each_run_it_is_told_how_many_spans_were_lost_when_the_collector_is_there_again() -> None:
    port = free_port()
    with gunicorn(
        "wsgi:app",
        OTEL_COVERAGE_ENABLED="1",
        OTEL_COVERAGE_SOURCE=STORE_FRONT,
        OTEL_COVERAGE_SPOOL="off",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        OTEL_BSP_MAX_QUEUE_SIZE="5",
    ) as client:
        for run, number in RUNS.items():
            for _ in range(number):
                client.get("/goods", headers={"baggage": f"playback.profile=browse,playback.run_id={run}"})
        with running_collector(port=port) as collector:
            spans = collector.wait_for(adds_up)
    processes = {span.attributes["coverage.process"] for span in spans if span.role == "server"}
    assert processes <= {span.attributes["coverage.process"] for span in spans if span.role == "counts"}


ENDLESS = "store_front.jobs:endless"
ENQUEUE = """
import os, redis, rq
rq.Queue(connection=redis.Redis.from_url(os.environ["REDIS_URL"])).enqueue("store_front.jobs.last")
"""


@pytest.mark.parametrize("worker", ["Worker", "SimpleWorker"])
def test_of_a_job_that_is_killed_what_it_had_executed_arrives_as_partial(
    worker: str, collector: Collector, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    recording = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_COVERAGE_PARTIAL_INTERVAL": "0.3",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "REDIS_URL": redis_url,
        "STARTED": str(started),
    }
    enqueued = call((*RUN, "python", "-c", ENQUEUE), BAGGAGE="playback.profile=nightly", **recording)
    assert enqueued.returncode == 0, enqueued.stderr
    with running([*RUN, "rq", "worker", "--worker-class", f"rq.{worker}", "--url", redis_url], **recording):
        spans = collector.wait_for(lambda spans: any(ENDLESS in span.functions for span in spans))
        os.kill(int(started.read_text()), signal.SIGKILL)
    part = next(span for span in spans if ENDLESS in span.functions)
    assert part.role == "part"
    assert part.attributes["coverage.partial"] is True
    assert part.attributes["playback.profile"] == "nightly"
    assert len(str(part.attributes["coverage.process"])) == 16
    assert not any(span.role == "consumer" for span in collector.spans)


def look(client: httpx.Client) -> None:
    """A request that waits for another, which does not come."""
    with suppress(httpx.TransportError):
        client.get("/look", headers={"X-Profile-Trace": "checkout"})


@pytest.mark.since(3, 12)
@pytest.mark.parametrize("server", ["waitress", "development server"])
def test_of_a_request_that_runs_when_its_server_is_stopped_what_it_had_executed_arrives_as_partial(
    server: str, collector: Collector, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    recording = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "REDIS_URL": redis_url,
        "MEETING": str(tmp_path),
    }

    with serving(SERVERS[server], **recording) as client:
        request = threading.Thread(target=look, args=(client,))
        request.start()
        wait_until(lambda: list(tmp_path.iterdir()))
    request.join()
    spans = collector.wait_for(lambda spans: any(span.role == "part" for span in spans))
    (part,) = [span for span in spans if span.role == "part"]
    assert {"store_front.web:look", "store_front.meeting:look"} <= part.functions
    assert part.attributes["coverage.partial"] is True
    assert not any(span.role == "server" for span in spans)


def test_of_a_request_that_ctrl_c_ends_with_its_development_server_it_is_known_that_it_began(
    collector: Collector, redis_url: str, tmp_path: Path
) -> None:
    recording = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "REDIS_URL": redis_url,
        "MEETING": str(tmp_path),
    }
    port = free_port()
    with (
        running([*RUN, "flask", "--app", "wsgi", "run", "--port", str(port)], **recording) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
    ):
        wait_for_answer(client, server)
        request = threading.Thread(target=look, args=(client,))
        request.start()
        wait_until(lambda: list(tmp_path.iterdir()))
        server.send_signal(signal.SIGINT)
        server.wait(PATIENCE)
        request.join()
        (begun,) = collector.wait_for_roles("begun")
    assert begun.attributes["playback.profile"] == "checkout"
    assert begun.attributes["coverage.begun_role"] == "server"
    assert "server" not in {span.role for span in collector.spans}
