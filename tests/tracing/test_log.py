"""Warnings at a limited rate."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from functools import partial
from types import FrameType

import pytest

from otel_coverage.tracing.log import RateLimitedLog


def test_a_kind_is_counted_each_time_and_logged_once_an_interval(caplog: pytest.LogCaptureFixture) -> None:
    log = RateLimitedLog(interval=3600)
    with caplog.at_level(logging.WARNING, "otel_coverage"):
        for _ in range(1000):
            log.warn("slugs", "malformed slug")
        log.warn("other", "something else: %s", "this")
    assert log.counts == {"slugs": 1000, "other": 1}
    assert [record.getMessage() for record in caplog.records] == [
        "malformed slug (1 so far)",
        "something else: this (1 so far)",
    ]


def test_after_the_interval_it_is_logged_again_with_the_total(caplog: pytest.LogCaptureFixture) -> None:
    log = RateLimitedLog(interval=0)
    with caplog.at_level(logging.WARNING, "otel_coverage"):
        log.warn("slugs", "malformed slug")
        log.warn("slugs", "malformed slug", count=4)
    assert caplog.messages == ["malformed slug (1 so far)", "malformed slug (5 so far)"]


class TimeIsUpError(Exception):
    """What a handler of a signal raises."""


def _raise(number: int, frame: FrameType | None) -> None:
    raise TimeIsUpError


class _Handlers:
    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise TimeIsUpError

    def handle(self, number: int, frame: FrameType | None) -> None:
        raise TimeIsUpError


@pytest.mark.parametrize(
    "handler",
    [_raise, _Handlers(), _Handlers().handle, partial(_raise)],
    ids=["function", "object", "method", "partial"],
)
def test_what_a_signals_handler_raised_is_the_applications(handler: Callable[[int, FrameType | None], None]) -> None:
    log = RateLimitedLog()
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(TimeIsUpError):
            _work(log, lambda: signal.raise_signal(signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert log.counts == {}


def test_what_else_is_raised_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    log = RateLimitedLog()

    def fail() -> None:
        raise TimeIsUpError

    with caplog.at_level(logging.WARNING, "otel_coverage"):
        _work(log, fail)
    assert caplog.messages == ["coverage: working failed, the application is not affected (1 so far)"]


def _work(log: RateLimitedLog, work: Callable[[], None]) -> None:
    try:
        work()
    except Exception as error:
        log.failed("working", error)
