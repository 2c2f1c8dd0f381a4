"""Every server that can be installed, with two profiles held inside of the same helper at the same moment."""

from __future__ import annotations

import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import PATIENCE, Collector
from tests.support.commands import STARTERS, running
from tests.support.servers import SERVERS, serving
from tests.support.traced import STORE_FRONT

WEB, JOBS, MEETING, GOODS = "store_front.web:", "store_front.jobs:", "store_front.meeting:", "store_front.goods:"
MET = {MEETING + name for name in ("meet", "arrive", "await_all")}
REQUEST = {WEB + name for name in ("Middleware.__call__", "before", "torn_down", "do_later")} | {GOODS + "put_back"}
LOOKED, ASKED = MET | {MEETING + "look", GOODS + "names"}, MET | {MEETING + "ask", GOODS + "price"}
EXPECTED = {
    ("looking", "server"): REQUEST | LOOKED | {WEB + "look"},
    ("looking", "consumer"): LOOKED | {JOBS + "look"},
    ("asking", "server"): REQUEST | ASKED | {WEB + "ask"},
    ("asking", "consumer"): ASKED | {JOBS + "ask"},
}
ANSWERS = {"looking": ("/look", "apple, pear"), "asking": ("/ask", "3")}

UWSGI = pytest.mark.until(3, 14)  # it does not build on newer ones
STARTED: list[Any] = [
    *(
        pytest.param(server, "otel-coverage run", marks=[UWSGI] if server.startswith("uwsgi") else [], id=server)
        for server in SERVERS
    ),
    *(
        pytest.param(server, "opentelemetry-instrument", id=f"{server} by opentelemetry-instrument")
        for server in ("gunicorn gthread", "gunicorn gevent", "waitress")
    ),
]


@pytest.mark.row("server")
@pytest.mark.parametrize(("server", "starter"), STARTED)
def test_two_profiles_inside_one_function_at_once_are_recorded_apart(
    server: str, starter: str, slow_collector: Collector, redis_url: str, tmp_path: Path
) -> None:
    """Both are in the server at the same moment, and then in a worker each, in the jobs that they enqueued."""
    (tmp_path / "web").mkdir()
    (tmp_path / "jobs").mkdir()
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": slow_collector.endpoint,
        "REDIS_URL": redis_url,
    }
    can_tell_apart = "gevent" not in server or sys.version_info >= (3, 12)
    run = STARTERS[starter]
    serves = serving(SERVERS[server], run, MEETING=str(tmp_path / "web"), **environment)
    workers = [*run, "rq", "worker-pool", "--num-workers", "2", "--url", redis_url]
    with serves as client, running(workers, MEETING=str(tmp_path / "jobs"), **environment):

        def play(profile: str) -> str:
            return client.get(ANSWERS[profile][0], headers={"X-Profile-Trace": profile}).text

        with ThreadPoolExecutor(2) as players:
            assert list(players.map(play, ANSWERS)) == [answer for _, answer in ANSWERS.values()]
        spans = slow_collector.wait_for(
            lambda spans: all([span.role for span in spans].count(role) == 2 for role in ("server", "consumer"))
        )
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    traces: dict[str, set[str]] = defaultdict(set)
    complete: dict[str, set[bool]] = defaultdict(set)
    for span in spans:
        if span.role in ("server", "consumer"):
            found[span.attributes["playback.profile"], span.role] |= span.functions
            traces[span.attributes["playback.profile"]].add(span.trace_id)
            complete[span.role].add(span.attributes["coverage.complete"])
    assert [len(ids) for ids in traces.values()] == [1, 1]
    assert complete["consumer"] == {True}
    if can_tell_apart:
        assert found == EXPECTED
        assert complete["server"] == {True}
    else:
        assert complete["server"] == {False}  # coverage.py's tracer cannot tell greenlets apart
        assert {key: found[key] for key in found if key[1] == "consumer"} == {
            key: names for key, names in EXPECTED.items() if key[1] == "consumer"
        }


@pytest.mark.row("server whose collector does not answer")
@pytest.mark.parametrize("server", ["gunicorn gevent", "gunicorn gevent --preload"])
def test_a_collector_that_does_not_answer_blocks_no_greenlet(server: str, collector: Collector) -> None:
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "600",
    }
    with serving(SERVERS[server], **environment) as client:
        with collector.silence() as asked:
            client.get("/goods", headers={"X-Profile-Trace": "checkout"})
            assert asked.wait(PATIENCE)
            for _ in range(3):
                assert client.get("/goods").text == "apple, pear"
        collector.wait_for(lambda spans: [span.role for span in spans].count("server") == 1)


@pytest.mark.row("greenlets")
@pytest.mark.since(3, 12)
@pytest.mark.parametrize("server", ["gunicorn gevent", "gunicorn gevent --preload"])
def test_greenlets_belong_to_the_request_that_spawned_them(server: str, collector: Collector) -> None:
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
    }
    with serving(SERVERS[server], **environment) as client:
        assert client.get("/greenlets", headers={"X-Profile-Trace": "checkout"}).text == "apple, peartaste "
        client.get("/goods", headers={"X-Profile-Trace": "browse"})
        spans = collector.wait_for(lambda spans: any(GOODS + "in_a_thread" in span.functions for span in spans))
    of_checkout = [span for span in spans if span.attributes.get("playback.profile") == "checkout"]
    assert {name for span in of_checkout for name in span.functions} == {
        *(WEB + name for name in ("Middleware.__call__", "before", "torn_down", "greenlets")),
        WEB + "greenlets.<locals>.Taster._run",
        *(GOODS + name for name in ("price", "tag", "names", "put_back", "in_a_thread")),
    }
    assert {span.attributes["coverage.complete"] for span in of_checkout} == {True}
    assert {span.role for span in of_checkout if GOODS + "in_a_thread" in span.functions} == {"part"}
