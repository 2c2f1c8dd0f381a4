"""Whose turn it is to have an embedded store open: its engine says nothing useful where two processes try at once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otel_coverage.errors import StoreError
from otel_coverage.store.dsn import Dsn
from otel_coverage.store.lock_owner import LockOwner, lock_owner

_NAME = "otel-coverage-opening"
_INTERVAL = 0.05  # seconds between two attempts
_PATIENCE = 60.0  # seconds; a collector applies the schema before it answers, on machines that do other things, too

_ours: set[str] = set()  # folders of which this process has the turn: it may open them more than once


@contextmanager
def turn_to_open(where: Dsn) -> Iterator[None]:
    """No other process opens the store meanwhile; one that has its turn is waited for, up to a minute.

    A lock on a file in the store's folder, so it ends with its process. Where the folder does not exist, or cannot be
    written, nobody can open the store, and nothing is locked.

    Args:
        where: the address of an embedded store.

    Raises:
        StoreError: another process has its turn for longer.
    """
    folder = os.path.realpath(where.path)
    file = None if folder in _ours else _opened(folder)
    if file is None:
        yield
        return
    try:
        _lock(file, where)
        _ours.add(folder)
        try:
            yield
        finally:
            _ours.discard(folder)
    finally:
        os.close(file)


def held(where: Dsn, owner: LockOwner) -> StoreError:
    """The error where another process has the store open, and does not answer for it."""
    return StoreError(
        f"{where}: held by {owner}; only one process at a time can open an embedded store: stop that one first"
    )


def _opened(folder: str) -> int | None:
    try:
        return os.open(Path(folder, _NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None


def _lock(file: int, where: Dsn) -> None:
    import fcntl  # not on Windows, where there is no chDB

    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                raise held(where, lock_owner(where.path) or LockOwner(None)) from None
            time.sleep(_INTERVAL)
        else:
            return
