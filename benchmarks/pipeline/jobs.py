"""What jobs cost, in processes of their own: plain, traced, and with collectors that are away."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.pipeline.processes import OTEL_COVERAGE, environment_of, private_folder, start_collector
from otel_coverage.demo.example import Example
from otel_coverage.demo.processes import Supervisor
from otel_coverage.demo.redis import free_port, start_redis

TIMEOUT = 300.0
_BEFORE = 4  # jobs
_TIMES = 6
RECORDING = {"OTEL_COVERAGE_ENABLED": "1"}

# name → whether it is started by `otel-coverage run`, and its settings
VARIANTS: dict[str, tuple[bool, dict[str, str]]] = {
    "plain": (False, {}),
    "plain, version known": (False, {"DRIVER_INFO": "1"}),
    "OpenTelemetry alone": (True, {}),
    "functions": (True, {**RECORDING, "OTEL_COVERAGE_GRANULARITY": "function"}),
    "lines": (True, {**RECORDING, "OTEL_COVERAGE_GRANULARITY": "line"}),
}
COLLECTORS = ("healthy", "nobody listens", "refusing", "silent")


@dataclass(frozen=True)
class Jobs:
    """What the jobs of one worker cost, in seconds.

    Attributes:
        wall: of each, from before the fork until its process has ended.
        cpu: of each one's process.
        faults: page faults of each one's process.
        parent: CPU time of the worker for each.
        total: from the begin of the first to the end of the last.
        ending: from then until the worker has ended.
    """

    wall: list[float]
    cpu: list[float]
    faults: list[int]
    parent: list[float]
    total: float
    ending: float


def of_variant(name: str, count: int) -> Jobs:
    """Perform small jobs in a variant, after some that are not measured.

    What the spans cost once they lie in the spool is not part of it: the collector only acknowledges.
    """
    is_traced, settings = VARIANTS[name]
    return _perform("small", count, settings, is_traced=is_traced, collector="acknowledging", before=_BEFORE)


def with_collector(collector: str, count: int) -> Jobs:
    """Perform jobs that do nothing, lines recorded, with that collector, after some that are not measured.

    So many jobs take less than the start of the sender, which happens once for a service: ``total`` is that of so many
    on average of ``_TIMES`` as many.
    """
    settings = VARIANTS["lines"][1]
    found = _perform("nothing", count * _TIMES, settings, is_traced=True, collector=collector, before=_BEFORE)
    return replace(found, total=found.total / _TIMES)


def _perform(
    task: str, count: int, settings: dict[str, str], *, is_traced: bool, collector: str, before: int = 0
) -> Jobs:
    example = Example.find()
    with private_folder() as folder, Supervisor(folder) as supervisor, silent() as hole:
        environment = environment_of(example, folder)
        _redis, redis_url = start_redis(supervisor, folder, environment)
        prefix = []
        if is_traced:
            prefix = [*OTEL_COVERAGE, "run", "--"]
            environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = {
                "healthy": lambda: start_collector(supervisor, folder, environment),
                "nobody listens": lambda: f"http://127.0.0.1:{free_port()}",
                "refusing": lambda: _answering(supervisor, environment, "--refuse"),
                "acknowledging": lambda: _answering(supervisor, environment),
                "silent": lambda: hole,
            }[collector]()
        script = str(Path(__file__).with_name("worker.py"))
        worker = supervisor.start(
            "worker",
            [*prefix, sys.executable, script, redis_url, task, str(count), str(before)],
            {**environment, **settings, "REDIS_URL": redis_url, "SHOP_DATABASE": str(folder / "shop.sqlite3")},
        )
        printed = worker.wait_for(r'^\{"wall".*\}$', TIMEOUT)[0]
        began = time.perf_counter()
        if worker.process.wait(TIMEOUT):
            raise SystemExit(worker.tail())
        ending = time.perf_counter() - began
        figures = json.loads(printed)
        if len(figures["wall"]) != count:
            raise SystemExit(f"{len(figures['wall'])} of {count} jobs were performed\n{worker.tail()}")
        return Jobs(**figures, ending=ending)


def _answering(supervisor: Supervisor, environment: dict[str, str], *options: str) -> str:
    script = Path(__file__).parent.parent / "playback" / "acknowledging.py"
    child = supervisor.start("answering", [sys.executable, str(script), *options], environment)
    return "http://" + child.wait_for(r"^listening on (\S+)", 60)[1]


@contextmanager
def silent() -> Iterator[str]:
    """The URL of a socket that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listening:
        kept: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    kept.append(listening.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        for connection in kept:
            connection.close()
