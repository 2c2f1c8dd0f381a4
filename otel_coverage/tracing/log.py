"""What went wrong, counted, and said in the log without flooding it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter

logger = logging.getLogger("otel_coverage")


class RateLimitedLog:
    """Counts by kind, and logs each kind at most once in an interval.

    Args:
        interval: seconds between two log lines of one kind.
    """

    def __init__(self, interval: float = 60.0) -> None:
        self.counts: Counter[str] = Counter()
        self._interval = interval
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._after_fork)

    def warn(
        self, kind: str, message: str, *arguments: object, count: int = 1, error: BaseException | None = None
    ) -> None:
        """Count, and log ``message`` unless a line of this ``kind`` was logged within the interval."""
        now = time.monotonic()
        with self._lock:
            self.counts[kind] += count
            total = self.counts[kind]
            if kind in self._said and now - self._said[kind] < self._interval:
                return
            self._said[kind] = now
        logger.warning(message + " (%d so far)", *arguments, total, exc_info=error)

    def failed(self, doing: str, error: BaseException) -> None:
        """Count a failure of ours; the application goes on."""
        self.warn("failures", "coverage: %s failed, the application goes on", doing, error=error)

    def clear(self) -> None:
        """Begin to count, and to log, anew."""
        with self._lock:
            self.counts.clear()
            self._said.clear()

    def _after_fork(self) -> None:
        self._lock = threading.Lock()


log = RateLimitedLog()
