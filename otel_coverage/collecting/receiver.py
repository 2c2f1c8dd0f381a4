"""What the servers hand exports to: into the log, and from there into the store."""

from __future__ import annotations

import threading

from otel_coverage.collecting.inserter import Counts, Inserter
from otel_coverage.collecting.log import Log
from otel_coverage.collecting.memory import RequestMemory
from otel_coverage.store import Store

_PATIENCE = 30.0  # seconds that a reader waits for what was accepted before it asked
_LAST_PATIENCE = 5.0  # at the end: who stops a process kills it soon; the next one inserts the rest
_SHORT_PATIENCE = 1.0  # after one has waited for so long in vain


class Receiver:
    """Accepts exports; for use from several threads.

    Args:
        log: where they are kept until the store has them; it is released with the receiver.
        store: has the schema.

    Attributes:
        memory: of the requests in progress.
        insert_turn: who has it may have the store insert; several inserts at once take more memory, and as long
            together.
    """

    def __init__(self, log: Log, store: Store) -> None:
        self.memory = RequestMemory()
        self._log = log
        self.insert_turn = threading.BoundedSemaphore(1)
        self._inserter = Inserter(log, store, turn=self.insert_turn)
        self._lock = threading.Lock()
        self._accepted = self._refused = 0
        self._stuck_at = -1  # what the store had when a reader waited in vain

    @property
    def accepted(self) -> int:
        """The number of spans that are in the log or the store."""
        return self._accepted

    @property
    def refused(self) -> int:
        """The number of spans that were not accepted, each time they were sent."""
        return self._refused

    @property
    def counts(self) -> Counts:
        """What became of spans since the receiver was started."""
        return self._inserter.counts

    @property
    def error(self) -> str:
        """Why spans could not be inserted the last time; empty where they could."""
        return self._inserter.error

    @property
    def behind(self) -> int:
        """The number of exports that are in the log and not in the store."""
        return self._log.last - self._log.last_inserted

    def start(self) -> None:
        """Begin to insert.

        Raises:
            OtelCoverageError: the store refuses.
        """
        self._inserter.start()

    def accept(self, body: bytes, spans: int) -> None:
        """Return once an export is on disk.

        Args:
            body: a serialized ``ExportTraceServiceRequest``, which was parsed before.
            spans: the number of its spans.

        Raises:
            OtelCoverageError: it is not; the caller may retry.
        """
        if not spans:
            return
        try:
            self._log.append(body)
        except BaseException:
            with self._lock:
                self._refused += spans
            raise
        with self._lock:
            self._accepted += spans

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the store has what was accepted before.

        Args:
            timeout: seconds; by default 30, or one where inserts fail and somebody has waited in vain since.

        Returns:
            How many exports it does not have.
        """
        if timeout is None:
            in_vain = self._stuck_at == self._log.last_inserted and self._inserter.error
            timeout = _SHORT_PATIENCE if in_vain else _PATIENCE
        behind = self._inserter.wait(timeout)
        self._inserter.folds.catch_up()
        self._stuck_at = self._log.last_inserted if behind else -1
        return behind

    def note_insert(self) -> None:
        """Note that spans or windows were inserted, which were no exports."""
        self._inserter.folds.note_insert()

    def drain(self) -> None:
        """Wait until the store has everything, or an attempt to insert has failed."""
        while self._inserter.wait(0.5) and not self._inserter.error:
            pass

    def close(self) -> None:
        """Refuse further exports; insert what was accepted, as far as that takes seconds; the rest stays in it."""
        self._log.close()
        self._inserter.stop(_LAST_PATIENCE)
        self._log.release()
