"""Batches that a process before this one began and did not find whole: they are completed."""

from __future__ import annotations

import logging
from dataclasses import replace

from otel_coverage.collecting.folds import Folds
from otel_coverage.collecting.log import Log
from otel_coverage.store import Store, batches

_CUT_OFF = " (cut off)"  # after the name of a batch whose last records the log no longer has

logger = logging.getLogger(__name__)


class InterruptedBatches:
    """The unfinished batches that a store has when a collector starts.

    Args:
        log: that the collector inserts from; the records of some of them may be in it.
        store: has the schema.
        folds: is notified of what is derived.

    Raises:
        StoreError: the store refuses.
    """

    def __init__(self, log: Log, store: Store, folds: Folds) -> None:
        self._store, self._folds = store, folds
        self._prefix = f"{log.name}:"  # of the names of batches of this log
        self._found_until = log.last  # what a process before this one has left ends there
        self._batches = batches.unfinished(store)

    def __bool__(self) -> bool:
        """Whether any is left."""
        return bool(self._batches)

    def complete(self, inserted: int) -> None:
        """Complete the batches whose records are inserted, and those of other logs.

        A batch does not wait for records that were cut off the log's damaged end, since they do not come again. What it
        lacks then stays marked under another name: records to come have the numbers of those that were cut off.

        Args:
            inserted: number of the last record of the log that the store has.

        Raises:
            OtelCoverageError: the store refuses; those that are left can be completed later.
        """
        for batch in list(self._batches):
            is_mine = batch.name.startswith(self._prefix)
            if is_mine and min(batch.last, self._found_until) > inserted:
                continue
            located = batches.located(self._store, batch)  # now: its process may have inserted none of it
            batches.derive(self._store, located)
            self._folds.note_insert()
            missing = batches.missing_of(self._store, located)
            if missing:
                if is_mine and batch.last > self._found_until:
                    batches.begin(self._store, replace(batch, name=batch.name.removesuffix(_CUT_OFF) + _CUT_OFF))
                logger.warning("%s: a batch of spans is not whole, and stays marked: %s", self._store.dsn, missing)
            else:
                batches.finish(self._store, batch)
                logger.warning("%s: completed a batch of %d spans", self._store.dsn, len(batch.keys))
            self._batches.remove(batch)
