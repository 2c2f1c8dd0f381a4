"""coverage.py in the shop's processes: the reference that the recorder is compared with.

It must not import the recorder, so it is in a folder of its own, which only the shop's processes have on their path.
Functions are taken from the entry arcs of branch mode: in line mode a call of ``outer`` marks a one-line ``inner`` as
executed.
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
    """A measurement that is not started, with its own data file."""
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
    """Save the data, and the recorder's modules that this process has imported: there must be none."""
    measurement.stop()
    measurement.save()
    modules = sorted(name for name in sys.modules if name.partition(".")[0] == "otel_coverage")
    (FOLDER / f"{kind}.{os.getpid()}.modules.json").write_text(json.dumps(modules))


class Pages:
    """The shop's WSGI application; the context of each request is its profile. For one request at a time."""

    def __init__(self) -> None:
        self.app = importlib.import_module("shop.app").create_app()
        self.measurement = measure("web")  # after the application's setup, which belongs to no request
        self.measurement.start()
        atexit.register(keep, self.measurement, "web")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        baggage = dict(entry.partition("=")[::2] for entry in environ.get(HEADER, "").split(","))
        self.measurement.switch_context(baggage.get("playback.profile", "none"))
        response: Iterable[bytes] = self.app(environ, start_response)
        return response


class Worker(rq.Worker):
    """An RQ worker whose work horse measures its job; the context is the profile that is being played."""

    def perform_job(self, *arguments: Any, **named: Any) -> bool:
        """Perform a job in the work horse."""
        measurement = measure("worker", context=(FOLDER / "profile").read_text())
        measurement.start()
        try:
            return super().perform_job(*arguments, **named)
        finally:
            keep(measurement, "worker")
