"""What runs before a process's first request or job: recorded apart, once, by servers, workers and scripts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue

from tests.support.collector import Collector, ReceivedSpan
from tests.support.commands import RUN, call, running, wait_until, wait_until_sent
from tests.support.servers import SERVERS, serving
from tests.support.traced import STORE_FRONT

WEB, SERVED = "store_front.web:", "store_front.served:"
AT_START = {WEB + "create_app", WEB + "Middleware.__init__"}
REQUEST = {WEB + name for name in ("Middleware.__call__", "before", "torn_down", "list_goods")} | {
    "store_front.goods:names",
    "store_front.goods:put_back",
}
PRELOADED = """
from rq.worker import Worker
from store_front import goods

goods.price("pear")

class Preloading(Worker):
    pass
"""
STARTER = """
import multiprocessing
import sys
from store_front import goods

goods.price("pear")

if __name__ == "__main__":
    child = multiprocessing.get_context(sys.argv[1]).Process(target=goods.names)
    child.start()
    child.join()
"""
CHECK_TABLES = """
from store_front import goods
print(goods.price("apple"))
"""
UWSGI = pytest.mark.until(3, 14)  # it does not build on newer ones
STARTED: list[Any] = [
    pytest.param(server, marks=[UWSGI] if server.startswith("uwsgi") else [], id=server)
    for server in SERVERS
    if server != "gunicorn gthread"
]


def settings(collector: Collector, **environment: str) -> dict[str, str]:
    return {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_STARTUP": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        **environment,
    }


def at_start(spans: list[ReceivedSpan]) -> set[str]:
    return {name for span in spans if span.role == "startup" for name in span.functions}


@pytest.mark.row("start of a server")
@pytest.mark.parametrize("server", STARTED)
def test_a_server_tells_apart_what_it_ran_before_its_first_request(server: str, collector: Collector) -> None:
    with serving(SERVERS[server], **settings(collector)) as client:  # which has answered an untraced request
        client.get("/goods", headers={"X-Profile-Trace": "browse"})
        spans = collector.wait_for(lambda spans: {"startup", "server"} <= {span.role for span in spans})
    assert at_start(spans) == AT_START
    assert {span.attributes["playback.profile"] for span in spans if span.role == "startup"} == {"_startup"}
    recorded = {name for span in spans if span.role in ("server", "part") for name in span.functions}
    assert recorded <= REQUEST


@pytest.mark.parametrize("engine", ["coverage", "monitoring"] if sys.version_info >= (3, 12) else ["coverage"])
@pytest.mark.parametrize("server", ["gunicorn sync", "gunicorn gthread --preload"])
def test_each_engine_records_what_a_server_runs_at_start(server: str, engine: str, collector: Collector) -> None:
    with serving(SERVERS[server], **settings(collector, OTEL_COVERAGE_ENGINE=engine)) as client:
        client.get("/goods", headers={"X-Profile-Trace": "browse"})
        spans = collector.wait_for(lambda spans: {"startup", "server"} <= {span.role for span in spans})
    assert at_start(spans) == AT_START
    assert {span.attributes["coverage.engine"] for span in spans if span.role == "startup"} == {engine}
    served = [span for span in spans if span.role in ("server", "part")]
    assert {name for span in served for name in span.functions} == REQUEST
    assert {span.attributes["coverage.complete"] for span in served} == {True}


def test_nothing_is_recorded_at_start_unless_a_setting_says_so(collector: Collector) -> None:
    with serving(SERVERS["gunicorn sync"], **settings(collector, OTEL_COVERAGE_STARTUP="0")) as client:
        client.get("/goods", headers={"X-Profile-Trace": "browse"})
        collector.wait_for(lambda spans: any(span.role == "server" for span in spans))
    assert [span for span in collector.spans if span.role == "startup"] == []


def test_a_middleware_that_serves_the_first_request_is_no_part_of_the_start(collector: Collector) -> None:
    command = SERVERS["gunicorn sync"].replace("wsgi:app", "store_front.served:gated")
    with serving(command, **settings(collector)) as client:
        assert client.get("/goods").text == "apple, pear"
        spans = collector.wait_for(lambda spans: any(span.role == "startup" for span in spans))
    assert at_start(spans) == {SERVED + name for name in ("create_app", "Gate.__init__")}


@pytest.mark.row("start of an RQ worker")
@pytest.mark.parametrize("worker", ["Worker", "SimpleWorker"])
def test_a_worker_sends_what_it_ran_at_start_with_its_first_job_and_not_with_others(
    worker: str, collector: Collector, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "preloading.py").write_text(PRELOADED.replace("Worker", worker))
    queue = Queue(connection=redis)
    command = [*RUN, "rq", "worker", "--worker-class", "preloading.Preloading", "--url", redis_url]
    with running(command, **settings(collector), PYTHONPATH=f"{tmp_path}:{Path(STORE_FRONT).parent}"):
        jobs = [queue.enqueue("store_front.jobs.ship", number) for number in range(3)]
        collector.wait_for(lambda spans: any(span.role == "startup" for span in spans))
        wait_until(lambda: all(job.get_status() == "finished" for job in jobs))
        before_the_end = [span for span in collector.spans if span.role == "startup"]
    assert [span.functions for span in before_the_end] == [{"store_front.goods:price"}]
    assert at_start(collector.spans) == {"store_front.goods:price"}


@pytest.mark.parametrize("worker", ["Worker", "SimpleWorker"])
def test_a_worker_that_runs_nothing_of_the_application_at_start_says_so_with_its_first_job(
    worker: str, collector: Collector, redis: Redis, redis_url: str
) -> None:
    queue = Queue(connection=redis)
    command = [*RUN, "rq", "worker", "--worker-class", f"rq.{worker}", "--url", redis_url]
    with running(command, **settings(collector)):
        jobs = [queue.enqueue("store_front.jobs.ship", number) for number in range(2)]
        collector.wait_for(lambda spans: any(span.role == "startup" for span in spans))
        wait_until(lambda: all(job.get_status() == "finished" for job in jobs))
    assert {span.functions for span in collector.spans if span.role == "startup"} == {frozenset()}


def test_a_command_that_ends_before_any_request_has_run_all_of_it_at_start(
    collector: Collector, tmp_path: Path
) -> None:
    (tmp_path / "check_tables.py").write_text(CHECK_TABLES)
    done = call([*RUN, "python", str(tmp_path / "check_tables.py")], **settings(collector))
    assert (done.stdout, done.stderr) == ("3\n", "")
    assert at_start(collector.wait_for(lambda spans: bool(spans))) == {"store_front.goods:price"}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_target_of_a_process_is_no_part_of_any_start(method: str, collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "starter.py").write_text(STARTER)
    done = call([*RUN, "python", str(tmp_path / "starter.py"), method], **settings(collector))
    assert (done.stdout, done.stderr) == ("", "")
    assert at_start(collector.wait_for(lambda spans: len(spans) >= 2)) == {"store_front.goods:price"}


def test_a_process_that_runs_nothing_of_the_application_sends_nothing(collector: Collector) -> None:
    done = call([*RUN, "python", "-c", "print('ran')"], **settings(collector))
    assert (done.stdout, done.stderr) == ("ran\n", "")
    assert collector.spans == []


def test_a_child_that_continues_a_playback_has_no_start_of_its_own(collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "check_tables.py").write_text(CHECK_TABLES)
    call(
        [*RUN, "python", str(tmp_path / "check_tables.py")],
        **settings(collector, BAGGAGE="playback.profile=nightly"),
    )
    assert [(span.role, span.functions) for span in collector.wait_for(lambda spans: bool(spans))] == [
        ("process", frozenset({"store_front.goods:price"}))
    ]


def test_no_request_can_name_what_runs_at_start(collector: Collector) -> None:
    with serving(SERVERS["gunicorn sync"], **settings(collector, OTEL_COVERAGE_STARTUP="0")) as client:
        for headers in ({"X-Profile-Trace": "_startup"}, {"baggage": "playback.profile=_startup"}):
            assert client.get("/goods", headers=headers).status_code == 200
        client.get("/goods", headers={"X-Profile-Trace": "browse"})
        collector.wait_for(lambda spans: [span.name for span in spans].count("GET /goods") == 3)
    wait_until_sent()
    assert {span.attributes.get("playback.profile") for span in collector.spans} == {None, "browse"}


def test_a_sampler_that_drops_most_traces_keeps_it(collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "check_tables.py").write_text(CHECK_TABLES)
    sampling = {"OTEL_TRACES_SAMPLER": "always_off"}
    call([*RUN, "python", str(tmp_path / "check_tables.py")], **settings(collector, **sampling))
    assert at_start(collector.wait_for(lambda spans: bool(spans))) == {"store_front.goods:price"}


def test_what_is_too_large_for_one_span_goes_on_parts(collector: Collector, tmp_path: Path) -> None:
    names = [f"imported_{number}_{'x' * 200}" for number in range(2000)]
    (tmp_path / "large.py").write_text("".join(f"def {name}(): pass\n{name}()\n" for name in names))
    call(
        [*RUN, "python", str(tmp_path / "large.py")],
        **settings(collector, OTEL_COVERAGE_SOURCE=str(tmp_path), OTEL_TRACES_SAMPLER="always_off"),
    )
    spans = collector.wait_for(lambda spans: sum(len(span.functions) for span in spans) == len(names))
    assert {span.role for span in spans} == {"startup", "part"}
    assert {span.attributes["playback.profile"] for span in spans} == {"_startup"}
