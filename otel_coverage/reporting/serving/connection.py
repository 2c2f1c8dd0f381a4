"""A store that is asked again and again, and that others come and go with meanwhile."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

from otel_coverage.errors import NoCoverageError, StoreError, UnreachableError
from otel_coverage.store import Dsn, Store, open_store
from otel_coverage.store.lock_owner import lock_owner


class StoreConnection:
    """Opens a store, and keeps it open where somebody else answers for it.

    A folder that nobody else has open is closed after each use: a collector that starts then can have it. For use from
    several threads, one at a time.

    Args:
        dsn: the store's address.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._folder = Dsn.parse(dsn).path
        self._turn = RLock()
        self._store: Store | None = None
        self._had_collector = False

    @contextmanager
    def opened(self, *, unasked: bool = False) -> Iterator[Store]:
        """The store, for as long as the block lasts.

        Args:
            unasked: nobody waits for the answer: a collector that is gone may be about to come back, and would not
                start while this process has its folder.

        Raises:
            OtelCoverageError: it cannot be opened.
        """
        with self._turn:
            if unasked and self._had_collector and lock_owner(self._folder, or_this=True) is None:
                self.close()
                raise UnreachableError(f"{self._dsn}: its collector has stopped; what was read from it before is shown")
            store = self._store or open_store(self._dsn, read_only=True, keep_turn=True)
            self._store = store
            is_kept = store.via.kind != "chdb"
            self._had_collector |= is_kept and store.dsn.kind == "chdb"
            try:
                yield store
            except (StoreError, UnreachableError) as error:  # the collector may have been started again, elsewhere
                is_kept = is_kept and isinstance(error, NoCoverageError)
                raise
            finally:
                if not is_kept:
                    self.close()

    def idle_state(self) -> Hashable:
        """Of a folder that nobody has open, something that is another one after somebody had; else None."""
        with self._turn:
            if not self._folder or self._store is not None or lock_owner(self._folder) is not None:
                return None
            return _folder_state(self._folder)

    def close(self) -> None:
        """Close it; it is opened again when it is used."""
        with self._turn:
            store, self._store = self._store, None
            if store is not None:
                store.close()


def _folder_state(folder: str) -> Hashable:
    """When entries of an embedded store's folders came or went last: parts and tables are folders."""
    newest = 0
    for path, folders, _ in os.walk(Path(folder, "store")):
        with suppress(OSError):
            newest = max(newest, os.stat(path).st_mtime_ns)
        if path.count(os.sep) - folder.rstrip(os.sep).count(os.sep) >= 3:  # store/abc/<table>: below are its parts
            folders.clear()
    return newest
