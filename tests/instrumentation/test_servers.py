"""Every server that can be installed, with two profiles held inside of the same helper at the same moment."""

from __future__ import annotations

import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.collector import PATIENCE, Collector
from tests.support.commands import STARTERS
from tests.support.servers import SERVERS, serving
from tests.support.traced import STORE_FRONT

WEB, MEETING, GOODS = "store_front.web:", "store_front.meeting:", "store_front.goods:"
ALWAYS = {
    *(WEB + name for name in ("Middleware.__call__", "before", "torn_down")),
    *(MEETING + name for name in ("meet", "arrive", "await_all")),
    GOODS + "put_back",
}
EXPECTED = {
    "looking": {*ALWAYS, WEB + "look", MEETING + "look", GOODS + "names"},
    "asking": {*ALWAYS, WEB + "ask", MEETING + "ask", GOODS + "price"},
}
ANSWERS = {"looking": ("/look", "apple, pear"), "asking": ("/ask", "3")}


STARTED = [(server, "otel-coverage run") for server in SERVERS] + [
    (server, "opentelemetry-instrument") for server in ("gunicorn gthread", "gunicorn gevent", "waitress")
]


@pytest.mark.parametrize(("server", "starter"), STARTED, ids=lambda name: name)
def test_two_profiles_in_one_helper_at_once_get_each_their_own(
    server: str, starter: str, slow_collector: Collector, tmp_path: Path
) -> None:
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": slow_collector.endpoint,
        "MEETING": str(tmp_path),
    }
    can_tell_apart = "gevent" not in server or sys.version_info >= (3, 12)
    serves = serving(SERVERS[server], STARTERS[starter], **environment)
    with serves as client, ThreadPoolExecutor(2) as players:

        def play(profile: str) -> str:
            return client.get(ANSWERS[profile][0], headers={"X-Profile-Trace": profile}).text

        assert list(players.map(play, ANSWERS)) == [answer for _, answer in ANSWERS.values()]
        last = "part" if can_tell_apart else "server"
        spans = slow_collector.wait_for(lambda spans: [span.role for span in spans].count(last) >= 2)
    found: dict[str, set[str]] = defaultdict(set)
    for span in spans:
        if span.role in ("server", "part"):
            found[span.attributes["playback.profile"]] |= span.functions
    complete = {span.attributes.get("coverage.complete") for span in spans if span.role == "server"}
    if can_tell_apart:
        assert found == EXPECTED
        assert complete == {True}
    else:
        assert complete == {False}  # coverage.py's tracer cannot, and says so


@pytest.mark.parametrize("server", ["gunicorn gevent", "gunicorn gevent --preload"])
def test_a_collector_that_does_not_answer_holds_up_no_greenlet(server: str, collector: Collector) -> None:
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
