"""Requests as greenlets, in a process that gevent has patched: what each of them ran, as JSON."""

from __future__ import annotations

from gevent import monkey  # type: ignore[import-untyped]

monkey.patch_all()

import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from contextvars import ContextVar  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402

from otel_coverage.recording import CurrentRecording, open_engine  # noqa: E402
from otel_coverage.recording.backend import PURE_PYTHON  # noqa: E402
from otel_coverage.source import SourceTree  # noqa: E402
from tests.recording.oracle import Ran  # noqa: E402


def main(folder: str, choice: Any, backend: str) -> None:
    os.environ[PURE_PYTHON] = "1" if backend == "python" else "0"
    variable: ContextVar[Any] = ContextVar("recording", default=None)
    engine = open_engine(choice, "line", SourceTree([folder]), CurrentRecording(variable))
    sys.path.insert(0, folder)
    module = importlib.import_module("green")

    def serve(n: int) -> tuple[object, ...]:
        recording = engine.begin()
        variable.set(recording)
        module.request(n)
        variable.set(None)
        engine.end(recording)
        ran = Ran.of(recording.executed())
        return n, sorted(ran.functions), sorted(ran.lines), recording.incomplete

    greenlets = [gevent.spawn(serve, number % 5) for number in range(50)]
    gevent.joinall(greenlets, raise_error=True)
    print(json.dumps([greenlet.value for greenlet in greenlets]))


if __name__ == "__main__":
    main(*sys.argv[1:])
