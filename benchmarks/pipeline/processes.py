"""The processes that the measurements share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from otel_coverage.demo.example import Example
from otel_coverage.demo.folder import TemporaryFolder
from otel_coverage.demo.processes import Supervisor

OTEL_COVERAGE = (sys.executable, "-m", "otel_coverage")
START_TIMEOUT = 60.0
_FOLDER = Path(__file__).parent


def environment_of(example: Example, folder: Path) -> dict[str, str]:
    """The environment of all processes: the example and the benchmark's work are the source, and state is private."""
    environment = example.environment()
    return {
        **environment,
        "PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], str(_FOLDER.parent.parent)]),
        "OTEL_COVERAGE_SOURCE": f"{example.source},{_FOLDER / 'work'}",
        "XDG_STATE_HOME": str(folder / "state"),
    }


@contextmanager
def private_folder() -> Iterator[Path]:
    """A temporary folder; at the end, who sends what lies in spools below it is ended, too."""
    with TemporaryFolder() as temporary:
        try:
            yield Path(temporary)
        finally:
            mark = f"XDG_STATE_HOME={Path(temporary) / 'state'}".encode()
            for folder in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    if mark in (folder / "environ").read_bytes().split(b"\0"):
                        os.kill(int(folder.name), signal.SIGKILL)


def start_collector(supervisor: Supervisor, folder: Path, environment: dict[str, str]) -> str:
    """Start ``otel-coverage collect`` on a store in that folder; its URL."""
    others = ("--http-endpoint", "none", "--clickhouse-endpoint", "127.0.0.1:0")
    command = [*OTEL_COVERAGE, "collect", "--store", f"chdb://{folder / 'store'}", *others]
    child = supervisor.start("collector", [*command, "--grpc-endpoint", "127.0.0.1:0"], environment)
    url = "http://" + child.wait_for(r"^listening on (\S+) \(OTLP/gRPC\)", START_TIMEOUT)[1]
    child.wait_for("^ready", START_TIMEOUT)
    return url
