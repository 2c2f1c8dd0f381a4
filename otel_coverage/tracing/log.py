"""Warnings, counted, and logged at a limited rate."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from otel_coverage.signals import is_raised_by_handler
from otel_coverage.tracing.forks import ProcessState

logger = logging.getLogger("otel_coverage")


class RateLimitedLog(ProcessState):
    """Counts warnings by kind, and logs each cause of a kind at most once in an interval. Safe to use from any thread.

    Args:
        interval: seconds between two log records of one cause.

    Attributes:
        counts: how often each kind was counted, logged or not.
    """

    def __init__(self, interval: float = 60.0) -> None:
        self.counts: Counter[str] = Counter()
        self._interval = interval
        self._logged_at: dict[tuple[str, str], float] = {}
        self._check_process()

    def warn(
        self,
        kind: str,
        message: str,
        *arguments: object,
        cause: str = "",
        count: int = 1,
        error: BaseException | None = None,
    ) -> None:
        """Count a warning, and log it unless one of its kind and cause was logged within the interval.

        Args:
            kind: what it counts as.
            message: a format as :mod:`logging` has it; the total of its kind is appended.
            arguments: of the format.
            cause: one of few, chosen by the caller: nothing that came from outside.
            count: how many it counts for.
            error: the exception whose traceback is logged; None for none.
        """
        now = time.monotonic()
        self._check_process()
        with self._lock:
            self.counts[kind] += count
            total = self.counts[kind]
            logged_at = self._logged_at.get((kind, cause))
            if logged_at is not None and now - logged_at < self._interval:
                return
            self._logged_at[kind, cause] = now
        logger.warning(message + " (%d so far)", *arguments, total, exc_info=error)

    def failed(self, doing: str, error: BaseException) -> None:
        """Count a failure of otel-coverage itself, of the kind ``failures``, and log it with its traceback.

        Args:
            doing: what failed, as a gerund: ``closing a recording``.
            error: what was raised; it goes no further, so that the application runs on. What a handler of a signal
                raised is none of our failures, and is raised again: the application waits for it, as RQ does for the
                end of a job whose time is up.
        """
        if is_raised_by_handler(error):
            raise error
        self.warn("failures", "coverage: %s failed, the application is not affected", doing, error=error)

    def clear(self) -> None:
        """Set all counts to zero, and log the next warning of each kind."""
        self._check_process()
        with self._lock:
            self.counts.clear()
            self._logged_at.clear()

    def _begin_process(self) -> None:
        self._lock = threading.Lock()


log = RateLimitedLog()
