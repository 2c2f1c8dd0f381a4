"""Warnings at a limited rate."""

from __future__ import annotations

import logging

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
