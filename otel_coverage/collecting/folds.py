"""Spans without a run id are put into their runs for whoever reads: one pass for all who asked before it began."""

from __future__ import annotations

import logging
import threading

from otel_coverage.errors import OtelCoverageError
from otel_coverage.store import Store
from otel_coverage.store.folding import fold

logger = logging.getLogger(__name__)


class Folds:
    """Folds a store; for use from several threads.

    Args:
        store: has the schema.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ended = threading.Condition()  # a pass
        self._is_running = False
        self._inserts, self._folded = 1, 0  # counted; a process before this one may have left some

    def note_insert(self) -> None:
        """Note that spans or windows may have come: who reads from now on needs a pass that begins from now on."""
        with self._ended:
            self._inserts += 1

    def catch_up(self) -> None:
        """Return when what was noted has been folded: at once where it was, else after one pass, whoever makes it.

        Says in the log that a pass has failed; the next reader tries again.
        """
        with self._ended:
            wanted = self._inserts
            while self._folded < wanted and self._is_running:
                self._ended.wait()
            if self._folded >= wanted:
                return
            self._is_running = True
            seen = self._inserts
        is_done = False
        try:
            fold(self._store)
            is_done = True
        except OtelCoverageError as error:
            logger.warning("%s: spans without a run id are not in their runs yet: %s", self._store.dsn, error)
        finally:
            with self._ended:
                self._is_running = False
                self._folded = seen
                if not is_done:
                    self._inserts += 1
                self._ended.notify_all()
