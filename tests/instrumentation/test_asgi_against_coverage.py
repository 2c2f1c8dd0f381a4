"""Requests that take turns on one thread, compared line by line with coverage.py, which sees each of them alone."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.collector import Collector, ReceivedSpan
from tests.support.commands import PATIENCE, clean_environment
from tests.support.servers import serving_asgi
from tests.support.traced import DATA, STORE_FRONT

PROFILES = {
    "listing": "/goods",
    "pricing": "/goods/pear",
    "depending": "/depends",
    "later": "/background",
    "streaming": "/stream",
    "gathering": "/gathered",
}
ROUNDS = 10


@pytest.mark.row("FastAPI as coverage.py finds it", "six at once on one thread")
def test_the_lines_of_each_profile_equal_those_that_coverage_finds_of_it_alone(collector: Collector) -> None:
    done = subprocess.run(
        [sys.executable, "asgi_second_opinion.py"],
        input=json.dumps(PROFILES),
        cwd=DATA,
        env=clean_environment(COVERAGE_CORE="ctrace"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
    }
    with serving_asgi("uvicorn", "FastAPI", **environment) as client, ThreadPoolExecutor(len(PROFILES)) as players:
        all_here = threading.Barrier(len(PROFILES))

        def play(profile: str) -> None:
            for _ in range(ROUNDS):
                all_here.wait(PATIENCE)
                client.get(PROFILES[profile], headers={"X-Profile-Trace": profile})

        list(players.map(play, PROFILES))
        collector.wait_for_roles("server", ROUNDS * len(PROFILES))
        spans = collector.wait_for(all_closed)
    profiles: dict[str, str] = {}
    of_trace: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for span in spans:
        if span.role in ("server", "part"):
            assert span.attributes["coverage.complete"] is True
            profiles[span.trace_id] = span.attributes["playback.profile"]
            of_trace[span.trace_id].update(numbers(span.attributes["coverage.lines"]))
    assert len(of_trace) == ROUNDS * len(PROFILES)
    each: dict[str, set[frozenset[tuple[str, int]]]] = defaultdict(set)
    for trace, lines in of_trace.items():
        each[profiles[trace]].add(frozenset(lines))
    expected = {
        profile: {frozenset((file, line) for file, lines in files.items() for line in lines)}
        for profile, files in json.loads(done.stdout).items()
    }
    assert each == expected
    assert len({frozenset(lines) for lines in expected.values()}) == len(PROFILES)


def all_closed(spans: list[ReceivedSpan]) -> bool:
    """Whether nothing is to come of requests whose background tasks took longer than their span waits."""
    is_open = {span.trace_id for span in spans if span.attributes.get("coverage.open")}
    return is_open <= {span.trace_id for span in spans if span.attributes.get("coverage.closing")}


def numbers(elements: list[str]) -> list[tuple[str, int]]:
    """The lines on a span, each with its file: ``shop/orders.py:3-5,8``."""
    return [
        (file, line)
        for file, _, ranges in (element.rpartition(":") for element in elements)
        for first, _, last in (span.partition("-") for span in ranges.split(","))
        for line in range(int(first), int(last or first) + 1)
    ]
