"""Warnings, counted, and logged at a limited rate."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter

logger = logging.getLogger("otel_coverage")


class RateLimitedLog:
    """Counts warnings by kind, and logs each kind at most once in an interval. Safe to use from any thread.

    Args:
        interval: seconds between two log records of one kind.

    Attributes:
        counts: how often each kind was counted, logged or not.
    """

    def __init__(self, interval: float = 60.0) -> None:
        self.counts: Counter[str] = Counter()
        self._interval = interval
        self._logged_at: dict[str, float] = {}
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._after_fork)

    def warn(
        self, kind: str, message: str, *arguments: object, count: int = 1, error: BaseException | None = None
    ) -> None:
        """Count a warning, and log it unless one of its kind was logged within the interval.

        Args:
            kind: what it counts as.
            message: a format as :mod:`logging` has it; the total of its kind is appended.
            arguments: of the format.
            count: how many it counts for.
            error: the exception whose traceback is logged; None for none.
        """
        now = time.monotonic()
        with self._lock:
            self.counts[kind] += count
            total = self.counts[kind]
            if kind in self._logged_at and now - self._logged_at[kind] < self._interval:
                return
            self._logged_at[kind] = now
        logger.warning(message + " (%d so far)", *arguments, total, exc_info=error)

    def failed(self, doing: str, error: BaseException) -> None:
        """Count a failure of otel-coverage itself, of the kind ``failures``, and log it with its traceback.

        Args:
            doing: what failed, as a gerund: ``closing a recording``.
            error: what was raised; it goes no further, so that the application runs on.
        """
        self.warn("failures", "coverage: %s failed, the application is not affected", doing, error=error)

    def clear(self) -> None:
        """Set all counts to zero, and log the next warning of each kind."""
        with self._lock:
            self.counts.clear()
            self._logged_at.clear()

    def _after_fork(self) -> None:
        self._lock = threading.Lock()


log = RateLimitedLog()
