"""Sending a spool at once, in place of its sender."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from otel_coverage.errors import ConfigurationError
from otel_coverage.spool.begun import is_anyone_alive
from otel_coverage.spool.begun_spans import keep_begun
from otel_coverage.spool.drain import Counts, Drain
from otel_coverage.spool.folder import check_private, write_privately
from otel_coverage.spool.launch import WANTED, ensure_sender
from otel_coverage.spool.receiver import connect
from otel_coverage.spool.sender import SenderLock
from otel_coverage.spool.spool import Spool
from otel_coverage.spool.spool_file import REFUSED_SUFFIX, SUFFIX, spool_files

_TAKEOVER_SECONDS = 30.0  # longer than a sender waits for its receiver
_PAUSE = 0.5  # seconds between two attempts


@dataclass(frozen=True)
class Flushed:
    """What became of a spool.

    Attributes:
        counts: what was sent and what was not.
        is_empty: whether nothing is left.
        error: why something is left.
    """

    counts: Counts
    is_empty: bool
    error: str


def flush(
    folder: Path,
    *,
    timeout: float,
    max_age: float,
    max_bytes: int,
    linger: float,
    refused: bool = False,
    progress: Callable[[Counts], None] = lambda _: None,
) -> Flushed:
    """Send everything that lies in the folder now.

    Args:
        folder: the spool's.
        timeout: seconds after which no attempt begins any more.
        max_age: seconds after which a request is deleted, not sent.
        max_bytes: what the folder may hold.
        linger: as a :class:`~otel_coverage.spool.sender.Sender` has it that is started afterwards.
        refused: whether to send once more what the receiver has refused, and has been kept aside.
        progress: called after each message that was acknowledged.

    Raises:
        ConfigurationError: the environment names no receiver, others can change the folder, or its sender stays.
        OSError: it cannot be read.
    """
    check_private(folder)
    receiver = connect()
    lock = SenderLock(folder)
    write_privately(folder / WANTED, b"flush")  # which no sender is
    try:
        if not lock.take(_TAKEOVER_SECONDS):
            raise ConfigurationError(
                f"spool {folder}: its sender did not leave within {_TAKEOVER_SECONDS:g} s; try again"
            )
        if refused:
            for path in spool_files(folder, REFUSED_SUFFIX):
                path.rename(path.with_suffix(SUFFIX))
        spool = Spool(folder, max_bytes=max_bytes)
        with suppress(OSError):  # no room yet
            keep_begun(spool)
        drain = Drain(folder, receiver, max_age, max_bytes)
        drain.progress = lambda: progress(drain.counts)
        deadline = time.monotonic() + timeout
        is_empty = drain.run()
        while not is_empty and time.monotonic() + _PAUSE < deadline:
            time.sleep(_PAUSE)
            is_empty = drain.run()
        if is_empty and keep_begun(spool):  # what found no room before
            is_empty = drain.run()
    finally:
        receiver.close()
        (folder / WANTED).unlink(missing_ok=True)
        lock.release()
    if is_anyone_alive(folder):
        ensure_sender(folder, max_age, max_bytes, linger)
    return Flushed(drain.counts, is_empty, drain.error)
