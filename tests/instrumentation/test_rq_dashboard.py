"""An application of others, compared with coverage.py: rq-dashboard, unchanged from PyPI."""

from __future__ import annotations

from typing import Any

import pytest

from otel_coverage.collecting import Collector, Endpoint
from otel_coverage.store import Store
from tests.support import dashboard
from tests.support.commands import wait_until_sent

# options of gunicorn; greenlets share a thread, which needs sys.monitoring
SERVERS = [
    pytest.param(["-k", "gthread", "--threads", "8"], id="gthread"),
    pytest.param(["-k", "gevent"], id="gevent", marks=pytest.mark.since(3, 12)),
]


@pytest.fixture
def redis_with_jobs(redis_url: str) -> str:
    dashboard.fill(redis_url)
    return redis_url


@pytest.fixture
def second_opinion(redis_with_jobs: str) -> dict[str, Any]:
    return dashboard.second_opinion(redis_with_jobs)


@pytest.mark.row("rq-dashboard as coverage.py finds it")
@pytest.mark.parametrize("together", [1, 6], ids=["one at a time", "six at once"])
@pytest.mark.parametrize("server", SERVERS)
def test_what_clickhouse_holds_of_each_profile_equals_what_coverage_finds(
    server: list[str], together: int, second_opinion: dict[str, Any], redis_with_jobs: str, store: Store
) -> None:
    with Collector(Endpoint.parse("127.0.0.1:0")) as collector:
        collector.start(store)
        dashboard.play(server, together, redis_with_jobs, f"http://{collector.endpoints['OTLP/gRPC']}")
        wait_until_sent()
        assert collector.receiver.wait() == 0
    assert second_opinion.keys() == dashboard.PROFILES.keys()
    for profile, expected in second_opinion.items():
        assert functions_in(store, profile) == expected["functions"], profile
        assert lines_in(store, profile) == expected["lines"], profile
    assert store.query("SELECT count() FROM coverage_spans WHERE NOT complete").rows == [(0,)]


def test_the_second_opinion_differs_from_profile_to_profile(second_opinion: dict[str, Any]) -> None:
    names = {
        profile: {symbol.rpartition("@")[0].removeprefix("rq_dashboard.web:") for symbol in found["functions"]}
        for profile, found in second_opinion.items()
    }
    assert "push_rq_connection" in frozenset.intersection(*map(frozenset, names.values()))
    own = {
        "overview": {"queues_overview", "favicon", "list_queues"},
        "workers": {"workers_overview", "list_workers.<locals>.serialize_queue_names"},
        "pages": {"jobs_overview", "job_view"},
        "queued": {"pagination_window"},
        "failed": {"serialize_job"},
        "job": {"job_info"},
    }
    for profile, functions in own.items():
        assert functions <= names[profile], profile
    assert len({frozenset(found) for found in names.values()}) == len(dashboard.PROFILES)


def functions_in(store: Store, profile: str) -> list[str]:
    rows = store.query("SELECT symbol FROM coverage_matrix WHERE profile = {profile:String}", {"profile": profile}).rows
    return sorted(symbol for (symbol,) in rows)


def lines_in(store: Store, profile: str) -> dict[str, list[int]]:
    rows = store.query(
        "SELECT file, arraySort(groupUniqArrayArray(lines)) FROM coverage_lines "
        "WHERE profile = {profile:String} GROUP BY file",
        {"profile": profile},
    ).rows
    return {file: list(numbers) for file, numbers in rows}
