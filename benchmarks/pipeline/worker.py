"""A script: performs the jobs in a queue, and prints what each cost as ``{"wall": [...], "cpu": [...], ...}``.

Arguments: the URL of Redis, the name of a function of ``work/tasks.py``, how many jobs of it to perform, and how many
before that, which are not measured: with the first ones, imports happen, and the sender of the spool is started, which
is a process for the service and not for a job. The worker imports the example application first, as a worker of it
would. All jobs belong to one playback.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import shop.app  # noqa: F401
from redis import Redis
from rq import Queue, Worker

from benchmarks.pipeline.work import tasks


class MeasuredWorker(Worker):
    """Keeps what its jobs' processes cost: seconds from before the fork until they have ended, and their CPU time.

    Also the page faults of each, since a forked process copies each page that it writes to, reference counts included,
    and the CPU time that each job takes this process.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.faults: list[int] = []
        self.parent: list[float] = []
        self.began = self.ended = 0.0

    def execute_job(self, *arguments: Any) -> None:
        """Perform a job in a process of its own."""
        began, cpu = time.perf_counter(), time.process_time()
        self.began = self.began or began
        super().execute_job(*arguments)
        self.ended = time.perf_counter()
        self.parent.append(time.process_time() - cpu)
        self.wall.append(self.ended - began)

    def wait_for_horse(self) -> Any:
        """Wait for that process."""
        waited = super().wait_for_horse()
        usage = waited[2]
        if usage is not None:
            self.cpu.append(usage.ru_utime + usage.ru_stime)
            self.faults.append(usage.ru_minflt)
        return waited


def main() -> None:
    """Perform the jobs."""
    url, name, count, before = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    connection = Redis.from_url(url)
    if os.environ.get("DRIVER_INFO"):
        # else each connection looks redis-py's version up, in a job's process, unless its worker is instrumented
        connection.connection_pool.connection_kwargs["driver_info"] = import_module("redis.driver_info").DriverInfo()
    queue = Queue("benchmark", connection=connection)
    for number in filter(None, (before, count)):
        worker = MeasuredWorker([queue], connection=connection)
        enqueue(queue, getattr(tasks, name), number)
        worker.work(burst=True, logging_level="WARNING")
        if number == before:
            wait_for_sender()
    figures = {name: getattr(worker, name) for name in ("wall", "cpu", "faults", "parent")}
    print(json.dumps({**figures, "total": worker.ended - worker.began}), flush=True)


def wait_for_sender() -> None:
    """Until the sender, where one was started, has begun its work, and has not much to do."""
    if "OTEL_EXPORTER_OTLP_ENDPOINT" not in os.environ:
        return
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not any(Path(os.environ["XDG_STATE_HOME"]).rglob("sender.json")):
        time.sleep(0.05)
    time.sleep(1)


def enqueue(queue: Queue, function: Any, count: int) -> None:
    """Enqueue the jobs, in a playback where tracing is there to carry one."""
    from opentelemetry import baggage, context

    token = context.attach(
        baggage.set_baggage(
            "playback.run_id", "benchmark", baggage.set_baggage("playback.profile", "jobs", context.get_current())
        )
    )
    for _ in range(count):
        queue.enqueue(function)
    context.detach(token)


if __name__ == "__main__":
    main()
