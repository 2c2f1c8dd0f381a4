"""What lies in the spools of this user, and who sends it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from otel_coverage.framing import Damage, Frame
from otel_coverage.spool.drain import span_count
from otel_coverage.spool.folder import check_private
from otel_coverage.spool.launch import read_status, running_destination
from otel_coverage.spool.spool_file import REFUSED_SUFFIX, REQUEST, SpoolFile, spool_files


@dataclass(frozen=True)
class SpoolStatus:
    """One spool.

    Attributes:
        folder: where it is.
        files: the files that processes append to.
        bytes: of what was not sent.
        spans: not sent.
        oldest: when the oldest of them was kept; None where there is none.
        damaged_bytes: of unsent data that cannot be read.
        refused: spans that the receiver will never accept, which are kept aside.
        sender: the process that sends; None where none is running.
        endpoint: where it sends to, or sent to last.
        error: why the last attempt to send failed; empty where it did not.
        error_at: when that was.
    """

    folder: str
    files: int
    bytes: int
    spans: int
    oldest: datetime | None
    damaged_bytes: int
    refused: int
    sender: int | None
    endpoint: str
    error: str
    error_at: datetime | None

    @classmethod
    def of(cls, folder: Path) -> SpoolStatus:
        """Look at a folder.

        Raises:
            ConfigurationError: others can change what is in it.
            OSError: it cannot be read.
        """
        check_private(folder)
        size = spans = damaged = 0
        oldest: int | None = None
        paths = spool_files(folder)
        for path in paths:
            for found in _unsent(path):
                size += found.end - found.start
                if isinstance(found, Damage):
                    damaged += found.end - found.start
                elif found.kind == REQUEST:
                    spans += span_count(found.payload)
                    oldest = found.number if oldest is None else min(oldest, found.number)
        refused = sum(
            span_count(found.payload)
            for path in spool_files(folder, REFUSED_SUFFIX)
            for found in _unsent(path)
            if isinstance(found, Frame) and found.kind == REQUEST
        )
        said = read_status(folder)
        return cls(
            folder=str(folder),
            files=len(paths),
            bytes=size,
            spans=spans,
            oldest=None if oldest is None else _time(oldest / 1e9),
            damaged_bytes=damaged,
            refused=refused,
            sender=int(said.get("pid") or 0) if running_destination(folder) is not None else None,
            endpoint=str(said.get("endpoint", "")),
            error=str(said.get("error", "")),
            error_at=_time(float(said["error_at"])) if said.get("error") and said.get("error_at") else None,
        )


def spools_below(base: Path) -> list[Path]:
    """The spools of all services, by name."""
    try:
        return sorted(Path(entry) for entry in os.scandir(base) if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _unsent(path: Path) -> list[Frame | Damage]:
    try:
        file = SpoolFile(path)
    except FileNotFoundError:
        return []
    try:
        return list(file.unsent())
    finally:
        file.close()


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
