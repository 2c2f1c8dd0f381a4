"""From the log into the store, in batches: each is checked, and only then does the log let go of it."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_coverage.collecting.folds import Folds
from otel_coverage.collecting.interrupted import InterruptedBatches
from otel_coverage.collecting.log import Log, Record
from otel_coverage.collecting.pending import Pending, without
from otel_coverage.collecting.recent import WINDOW, Arrival, RecentSpans
from otel_coverage.collecting.rows import COLUMNS, Row
from otel_coverage.collecting.spans import InsertedSpan, Key, spans_of
from otel_coverage.errors import OtelCoverageError, StoreError, UnreachableError
from otel_coverage.printable import counted
from otel_coverage.store import Store, batches
from otel_coverage.store.schema import layout_of

BATCH_BYTES = 16 * 1024 * 1024  # of the log's records; more would cost memory, less the engine's time for each insert
INTERVAL = 2.0  # seconds that spans wait for others to be inserted with, unless somebody asks for them

_FOLD_INTERVAL = 60.0  # seconds, at least, between two times that spans without a run id are put into runs unasked
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts
_ATTEMPTS = 3  # at a batch, before its records are tried one by one

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """Numbers of spans.

    Attributes:
        inserted: that are in the store.
        repeated: that had been inserted before, and were not again.
        conflicting: that came with the id of another span.
        set_aside: that could not be inserted.
        lost: records of the log that were damaged; these are not spans.
    """

    inserted: int = 0
    repeated: int = 0
    conflicting: int = 0
    set_aside: int = 0
    lost: int = 0


class Inserter:
    """Inserts what is in a log, from a thread of its own, until it is stopped.

    Spans of one batch and those of the last :data:`WINDOW` that were inserted are compared by trace, span and content:
    what arrives again is inserted once. A batch counts as inserted when all that is derived from it was found in the
    tables; before that it stays in the log, and is tried again.

    Args:
        log: what was accepted.
        store: has the schema.
        interval: seconds that spans wait for others.
        turn: is had while the store inserts.

    Attributes:
        folds: puts spans without a run id into their runs.
        counts: what became of spans.
        error: why the last attempt failed; empty after one that did not.
    """

    def __init__(
        self, log: Log, store: Store, interval: float = INTERVAL, turn: AbstractContextManager[object] | None = None
    ) -> None:
        self._log, self._store, self._interval = log, store, interval
        self.folds = Folds(store)
        self.counts = Counts()
        self.error = ""
        self._turn = turn or nullcontext()
        self._table = layout_of(store).spans
        self._recent = RecentSpans()
        self._replayed_until = log.last  # a process before this one may have inserted some of them
        self._wake = threading.Condition()
        self._wanted = 0  # number of the record that somebody waits for
        self._stopping, self._stop_at = False, math.inf
        self._is_failing = False
        self._logged_error = ""
        self._reported_gaps = 0
        self._ahead: set[int] = set()  # records that were inserted before their turn
        self._interrupted: InterruptedBatches | None = None
        self._thread = threading.Thread(target=self._run, name="otel-coverage-inserter", daemon=True)

    def start(self) -> None:
        """Repair what a process before this one left unfinished, then begin to insert.

        Raises:
            OtelCoverageError: the store refuses.
        """
        batches.forget_old(self._store)
        for trace, span, digest in batches.recent_keys(self._store, WINDOW):
            self._recent.add(Key(trace, span, digest))
        self._interrupted = InterruptedBatches(self._log, self._store, self.folds)
        self._interrupted.complete(self._log.last_inserted)
        self._thread.start()

    def wait(self, timeout: float) -> int:
        """Insert what is in the log now, without delay.

        Args:
            timeout: seconds to wait for that.

        Returns:
            How many records of the log were not inserted in time.
        """
        wanted = self._log.last
        with self._wake:
            self._wanted = max(self._wanted, wanted)
            self._wake.notify_all()
        self._log.wait_until_inserted(wanted, timeout)
        return max(wanted - self._log.last_inserted, 0)

    def stop(self, timeout: float = math.inf) -> None:
        """Insert what the log holds, as long as that succeeds, and end; the log is closed already.

        Args:
            timeout: seconds after which no further batch is begun.
        """
        with self._wake:
            self._stopping = True
            self._stop_at = time.monotonic() + timeout
            self._wake.notify_all()
        if self._thread.ident is not None:  # it was started
            self._thread.join()
            if self.counts.inserted:
                self._fold()

    def _fold(self) -> None:
        self.folds.note_insert()  # windows may have come to a server by others
        self.folds.catch_up()

    def _run(self) -> None:
        fold_at = 0.0
        while True:
            has_records = self._log.wait_for_records(3600.0)
            if self._stopping and (not has_records or time.monotonic() > self._stop_at):
                return
            if not has_records:
                self._pause(0.1)  # the log is closed, and about to be stopped
                continue
            self._wait_for_company()
            try:
                pending = self._next()
            except Exception as error:
                self._give_up([], f"the log cannot be read: {error}")
                pending = None
            try:
                if pending is not None and not self._insert_patiently(pending):
                    return
                if not self._log.waiting and time.monotonic() > fold_at:
                    self._fold()  # for readers of a server, who do not ask this process
                    fold_at = time.monotonic() + _FOLD_INTERVAL
            except Exception as error:
                self._give_up([] if pending is None else pending.spans, str(error))
            if self.error and self._stopping:
                return

    def _give_up(self, spans: Sequence[InsertedSpan], error: str) -> None:
        """Read records once more, later, as those of which nobody knows how much was inserted."""
        self._recent.forget(span.key for span in spans)
        self._replayed_until = self._log.last
        self._failed(error)
        self._pause(_LONGEST_PAUSE)

    def _wait_for_company(self) -> None:
        """Let more spans come, so that they are inserted together: an insert costs much, a span in it little."""
        until = time.monotonic() + self._interval
        with self._wake:
            while not (self._stopping or self._wanted > self._log.last_inserted):
                left = until - time.monotonic()
                if left <= 0 or self._log.waiting >= BATCH_BYTES:
                    return
                self._wake.wait(min(left, 0.1))

    def _next(self) -> Pending | None:
        """The next records; None where only damage was left."""
        upto = self._log.last
        records = self._log.read(self._log.last_inserted, BATCH_BYTES)
        self._report_gaps()
        if not records:
            self._let_go(upto)
            return None
        return self._pending(records)

    def _pending(self, records: list[Record]) -> Pending:
        pending = Pending(records, [], [], records[0].number <= self._replayed_until)
        for record in records:
            if record.number in self._ahead:
                self._ahead.discard(record.number)
                continue
            for span in spans_of(ExportTraceServiceRequest.FromString(record.payload)):
                arrival = self._recent.add(span.key)
                if arrival is Arrival.AGAIN:
                    self.counts.repeated += 1
                    continue
                if arrival is Arrival.CONFLICT:
                    pending.conflicts.append(span.key)
                pending.spans.append(span)
        return pending

    def _insert_patiently(self, pending: Pending) -> bool:
        """Insert records, however often that fails; False where it was stopped before that."""
        pause = _FIRST_PAUSE
        while not self._inserted(pending):
            if self._stopping:
                return False
            if pending.attempts >= _ATTEMPTS and self._set_aside_some(pending):
                return True
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return True

    def _inserted(self, pending: Pending) -> bool:
        """Try to insert records and to find all of it in the tables; whether it was."""
        if not self._is_whole(pending):
            self._failed(pending.error)
            return False
        self._done(pending)
        return True

    def _done(self, pending: Pending) -> None:
        self.counts.inserted += len(pending.spans)
        self.counts.conflicting += len(pending.conflicts)
        if self._is_failing:
            logger.warning("%s: spans are inserted again", self._store.dsn)
        self._is_failing, self.error = False, ""
        self._let_go(pending.last)

    def _let_go(self, number: int) -> None:
        """Have the log let go of its records up to a number: each is in the store, set aside, or noted as lost."""
        # before the log is empty: nobody would look for them if this process was killed meanwhile
        if self._interrupted:
            try:
                self._interrupted.complete(number)
            except OtelCoverageError as error:
                self._failed(str(error))
        self._log.inserted(number)  # this wakes those who wait

    def _is_whole(self, pending: Pending) -> bool:
        if not pending.spans:
            return True
        batch = pending.batch(self._log.name, self._table)
        error = ""
        try:
            if pending.conflicts:
                self._note_conflicts(batch, pending.conflicts)
            batches.begin(self._store, batch)
            rows = pending.rows
            if pending.is_replayed:
                rows = without(rows, batches.present(self._store, batch))
            pending.is_replayed = True
            error = self._insert_rows(rows)
            missing = ""
            if error or len(rows) < len(pending.spans) or not batches.is_whole(self._store, batch):
                batches.derive(self._store, batch)
                missing = batches.missing_of(self._store, batch)
            if missing:
                pending.attempts += 1
                pending.error = f"{missing}: {error}" if error else missing
                return False
            if error and error != self._logged_error:  # a view that is not ours failed, and our tables have all
                logger.warning(
                    "%s: all of a batch is in the tables, though its insert failed: %s", self._store.dsn, error
                )
                self._logged_error = error
            batches.finish(self._store, batch)
        except UnreachableError as failure:
            pending.error = str(failure)
            return False
        except Exception as failure:
            pending.attempts += 1
            pending.error = error or str(failure)
            return False
        finally:
            self.folds.note_insert()  # also where only a part was inserted
        return True

    def _insert_rows(self, rows: Sequence[Row]) -> str:
        """Insert spans; returns an error of the insert, after which some of them may be in some of the tables."""
        try:
            with self._turn:
                self._store.insert(self._table, COLUMNS, rows, batches.SETTINGS)
        except StoreError as error:
            return str(error)
        return ""

    def _set_aside_some(self, pending: Pending) -> bool:
        """Insert the records of a batch one by one, and set aside those that fail while others do not.

        Returns:
            Whether the batch is done. It is not where everything fails: then the store is broken, not what it is sent.
        """
        if len(pending.records) == 1 and not self._next_one_succeeds(pending):
            return False
        parts = [self._part(pending, [record]) for record in pending.records]
        refused = [part for part in parts if not self._is_whole(part)]
        if len(refused) == len(parts) > 1:
            return False
        # once more: those before the first that succeeded may have met a store that did not work yet
        refused = [part for part in refused if not self._is_whole(part)]
        if any(part.attempts < 2 for part in refused):
            return False  # the store could not be reached
        for part in refused:
            self._set_aside(part)
        pending.spans = [span for part in parts if part not in refused for span in part.spans]
        pending.conflicts = []
        if pending.spans and len(parts) > 1:
            batches.finish(self._store, pending.batch(self._log.name, self._table))  # what is left of it is whole
        self._done(pending)
        return True

    def _next_one_succeeds(self, pending: Pending) -> bool:
        """Insert the record after a batch, before its turn; whether that succeeded."""
        records = self._log.read(pending.last, 1)[:1]
        if not records:
            return False
        if records[0].number in self._ahead:
            return True
        following = self._pending(records)
        if not self._is_whole(following):
            self._recent.forget(span.key for span in following.spans)
            return False
        self.counts.inserted += len(following.spans)
        self._ahead.add(records[0].number)
        return True

    def _part(self, pending: Pending, records: list[Record]) -> Pending:
        """Some records of a batch, as a batch of its own; its spans were compared with others already."""
        left = Counter(span.key for span in pending.spans)
        part = Pending(records, [], [], is_replayed=True)
        for record in records:
            for span in spans_of(ExportTraceServiceRequest.FromString(record.payload)):
                if left[span.key]:
                    left[span.key] -= 1
                    part.spans.append(span)
        return part

    def _set_aside(self, part: Pending) -> None:
        keys = [span.key for span in part.spans]
        path = self._log.set_aside(part.records[0])
        self._recent.forget(keys)
        self.counts.set_aside += len(keys)
        logger.error("not inserted: %s, kept in %s: %s", counted(len(keys), "span"), path, part.error)
        with suppress(OtelCoverageError):
            batches.note(
                self._store,
                "set_aside",
                f"{self._log.name}:{part.first}-{part.last}",
                first=part.first,
                last=part.last,
                keys=keys,
                detail=f"{path}: {part.error}",
            )

    def _note_conflicts(self, batch: batches.Batch, conflicts: Sequence[Key]) -> None:
        came = f"{counted(len(conflicts), 'span came', 'spans came')} with the id of another one"
        batches.note(
            self._store,
            "conflict",
            batch.name,
            first=batch.first,
            last=batch.last,
            keys=conflicts,
            detail=f"{came}; both are in {batch.table}",
        )
        logger.warning("%s; both are kept", came)

    def _report_gaps(self) -> None:
        for gap in self._log.gaps[self._reported_gaps :]:
            where = f"{gap.file}, bytes {gap.start} to {gap.end}"
            name = f"{self._log.name}:{gap.file.name}:{gap.start}"
            if gap.last >= gap.first:
                records = gap.last - gap.first + 1
                detail = f"{where}: {records} accepted exports are damaged, and lost"
                logger.error("%s", detail)
                batches.note(self._store, "lost", name, first=gap.first, last=gap.last, detail=detail)
                self.counts.lost += records
            else:
                detail = (
                    f"{where}: no whole record, and cut off: what was being written when the process or machine stopped"
                )
                logger.warning("%s", detail)
                batches.note(self._store, "torn", name, first=gap.first, detail=detail)
            self._reported_gaps += 1

    def _failed(self, error: str) -> None:
        self.error = error
        if not self._is_failing:
            logger.warning("%s: spans stay in the log, and are tried again: %s", self._store.dsn, error)
        self._is_failing = True

    def _pause(self, seconds: float) -> None:
        with self._wake:
            if not self._stopping:
                self._wake.wait(seconds)
