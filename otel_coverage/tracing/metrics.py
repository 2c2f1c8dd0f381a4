"""What this package does in a process, as metrics of OpenTelemetry.

Counts are plain numbers that are read when metrics are collected. Durations are measured only where the metrics SDK is
in use: without it nothing is spent on them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from otel_coverage import __version__
from otel_coverage.tracing.log import log

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Histogram, Observation

Stage = Literal["begin", "end", "encode", "export"]

_SDK = "opentelemetry.sdk.metrics"
_BOUNDARIES = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)  # seconds


@dataclass
class Totals:
    """Since this process began, or was forked.

    Attributes:
        recordings: that were begun.
        functions: that were written on spans, of each recording once.
        bytes: of encoded spans.
    """

    recordings: int = 0
    functions: int = 0
    bytes: int = 0

    def clear(self) -> None:
        """Begin anew."""
        self.recordings = self.functions = self.bytes = 0


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is asked when metrics are collected.

    Attributes:
        spans: the number of spans by outcome: ``delivered``, ``spooled``, ``lost``.
        queue: bytes of spans that wait in memory.
        spool: bytes that wait in the spool; None where there is none.
    """

    spans: Callable[[], dict[str, int]]
    queue: Callable[[], int]
    spool: Callable[[], int | None]


class Metrics:
    """The instruments, made once for a process."""

    def __init__(self) -> None:
        self._durations: Histogram | None = None
        self._gauges: Gauges | None = None
        self._is_made = False

    def observe(self, gauges: Gauges) -> None:
        """Make the instruments, whether or not a meter provider is configured yet. Never raises."""
        self._gauges = gauges
        if self._is_made:
            return
        self._is_made = True
        try:
            self._make()
        except Exception as error:
            log.failed("making metrics", error)

    def forget(self) -> None:
        """Report no more of what is asked."""
        self._gauges = None

    def start(self) -> float:
        """The time, to be passed to :meth:`spent`; 0 where nobody collects metrics."""
        return time.perf_counter() if self._durations is not None and _SDK in sys.modules else 0.0

    def spent(self, stage: Stage, started: float) -> None:
        """That stage has taken from ``started`` until now."""
        if started and self._durations is not None:
            self._durations.record(time.perf_counter() - started, {"stage": stage})

    def _make(self) -> None:
        from opentelemetry.metrics import get_meter

        meter = get_meter("otel_coverage", __version__)
        try:
            self._durations = meter.create_histogram(
                "otel_coverage.duration",
                unit="s",
                description="Time that a stage of recording took",
                explicit_bucket_boundaries_advisory=_BOUNDARIES,
            )
        except TypeError:  # before API 1.31
            self._durations = meter.create_histogram("otel_coverage.duration", unit="s")
        counters: dict[str, tuple[str, str, Callable[[], Iterable[tuple[int, dict[str, str]]]]]] = {
            "otel_coverage.recordings": ("{recording}", "Recordings begun", lambda: [(totals.recordings, {})]),
            "otel_coverage.functions": ("{function}", "Functions written on spans", lambda: [(totals.functions, {})]),
            "otel_coverage.bytes": ("By", "Bytes of encoded spans", lambda: [(totals.bytes, {})]),
            "otel_coverage.spans": ("{span}", "Spans by what became of them", self._spans),
            "otel_coverage.warnings": ("{warning}", "Warnings and failures of otel-coverage by kind", _warnings),
        }
        for name, (unit, description, read) in counters.items():
            meter.create_observable_counter(name, [_callback(read)], unit, description)
        gauges = {
            "otel_coverage.queue.size": ("Bytes of spans that wait in memory", self._queue),
            "otel_coverage.spool.size": ("Bytes that wait in the spool", self._spool),
        }
        for name, (description, read) in gauges.items():
            meter.create_observable_gauge(name, [_callback(read)], "By", description)

    def _spans(self) -> Iterable[tuple[int, dict[str, str]]]:
        spans = {} if self._gauges is None else self._gauges.spans()
        return [(number, {"outcome": outcome}) for outcome, number in spans.items()]

    def _queue(self) -> Iterable[tuple[int, dict[str, str]]]:
        return [] if self._gauges is None else [(self._gauges.queue(), {})]

    def _spool(self) -> Iterable[tuple[int, dict[str, str]]]:
        size = None if self._gauges is None else self._gauges.spool()
        return [] if size is None else [(size, {})]


def _warnings() -> Iterable[tuple[int, dict[str, str]]]:
    return [(number, {"kind": kind}) for kind, number in log.counts.copy().items()]


def _callback(
    read: Callable[[], Iterable[tuple[int, dict[str, str]]]],
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: Any) -> Iterable[Observation]:
        from opentelemetry.metrics import Observation

        try:
            return [Observation(number, attributes) for number, attributes in read()]
        except Exception as error:
            log.failed("reading metrics", error)
            return []

    return observe


totals = Totals()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=totals.clear)
metrics = Metrics()
