"""What a traced request pays for, part by part, from its first hook to the end of its span."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks.recorder.tools import Tool
from otel_coverage.recording.monitoring import MonitoringEngine, MonitoringRecording
from otel_coverage.tracing.writer import CoverageWriter

REQUESTS = 60
WARM_UP = 3

PARTS = {
    "arming": (MonitoringEngine, "begin"),
    "taking": (MonitoringRecording, "executed"),
    "naming and writing": (CoverageWriter, "write_entry_span"),
    "closing": (MonitoringEngine, "end"),
}


def shares(tool: Tool, request: Callable[[], object], twin: Callable[[], object]) -> dict[str, float]:
    """Milliseconds of CPU time by part; of each the least of many requests, in turns with plain ones.

    ``events`` is what the request's own code takes longer; ``the rest`` is what no part has: entry, context, hooks.

    Args:
        tool: is started.
        request: of the source that it records.
        twin: the same of a source that it leaves alone.
    """
    spent: dict[str, float] = defaultdict(float)
    least: dict[str, float] = {}
    clock = time.thread_time

    def timed(name: str, function: Callable[[], object]) -> Callable[[], object]:
        def call() -> object:
            started = clock()
            try:
                return function()
            finally:
                spent[name] += clock() - started

        return call

    with ExitStack() as patches:
        for name, (owner, method) in PARTS.items():
            patches.enter_context(_timed_method(owner, method, name, spent, clock))
        plain, traced = timed("plain", twin), timed("traced", request)
        for number in range(WARM_UP + REQUESTS):
            spent.clear()
            timed("plain, all", lambda: tool.plain(plain))()
            timed("traced, all", lambda: tool.record(traced))()
            if number >= WARM_UP:
                for name in ("plain", "traced", "plain, all", "traced, all", *PARTS):
                    least[name] = min(least.get(name, float("inf")), spent[name])
    found = {name: least[name] for name in PARTS}
    found["naming and writing"] -= found["taking"]
    found = {"arming": found.pop("arming"), "events": least["traced"] - least["plain"], **found}
    found["the rest"] = least["traced, all"] - least["plain, all"] - sum(found.values())
    found["OpenTelemetry alone"] = least["plain, all"]
    return {name: seconds * 1000 for name, seconds in found.items()}


@contextmanager
def _timed_method(
    owner: type, method: str, name: str, spent: dict[str, float], clock: Callable[[], float]
) -> Iterator[None]:
    original: Any = getattr(owner, method)

    def call(*arguments: Any, **options: Any) -> Any:
        started = clock()
        try:
            return original(*arguments, **options)
        finally:
            spent[name] += clock() - started

    setattr(owner, method, call)
    try:
        yield
    finally:
        setattr(owner, method, original)
