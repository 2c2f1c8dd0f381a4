"""coverage.py, measuring the shop by itself: the second opinion that the recorder is held against.

Runs in the shop's own processes and must not import what it judges, so it lives in a folder of its own that only those
processes have on their path. Functions are taken from the entry arcs of branch mode: in line mode a call of ``outer``
marks a one-line ``inner`` as executed.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import coverage
import rq

FOLDER = Path(os.environ["ORACLE_FOLDER"])
SOURCE = os.environ["ORACLE_SOURCE"]
HEADER = "HTTP_BAGGAGE"


def measure(kind: str, context: str | None = None) -> coverage.Coverage:
    """A measurement that was not begun yet, in a data file of its own."""
    return coverage.Coverage(
        data_file=str(FOLDER / f"{kind}.{os.getpid()}.coverage"),
        config_file=False,
        source=[SOURCE],
        branch=True,
        context=context,
        concurrency="thread",
        messages=False,
    )


def keep(measurement: coverage.Coverage, kind: str) -> None:
    """Write down what was measured, and whether this process has ever imported what it judges."""
    measurement.stop()
    measurement.save()
    judged = sorted(name for name in sys.modules if name.partition(".")[0] == "otel_coverage")
    (FOLDER / f"{kind}.{os.getpid()}.judged.json").write_text(json.dumps(judged))


class Pages:
    """The shop's WSGI application, each request under the name of its profile; for one request at a time."""

    def __init__(self) -> None:
        self.app = importlib.import_module("shop.app").create_app()
        self.measurement = measure("web")  # begun after the application's start: that belongs to no request
        self.measurement.start()
        atexit.register(keep, self.measurement, "web")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        baggage = dict(entry.partition("=")[::2] for entry in environ.get(HEADER, "").split(","))
        self.measurement.switch_context(baggage.get("playback.profile", "nobody"))
        answer: Iterable[bytes] = self.app(environ, start_response)
        return answer


class Worker(rq.Worker):
    """Forks for each job, as rq's own; the child measures it under the name of the profile that is being played."""

    def perform_job(self, *arguments: Any, **named: Any) -> bool:
        """Perform a job in the work horse."""
        measurement = measure("worker", context=(FOLDER / "profile").read_text())
        measurement.start()
        try:
            return super().perform_job(*arguments, **named)
        finally:
            keep(measurement, "worker")
