"""Journals: lines of JSON, each on the disk before what it speaks of goes on."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any


class Journal:
    """Appends lines to a file, for use from several threads.

    Args:
        path: the file; several processes may append to it.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()

    def note(self, event: str, **fields: Any) -> None:
        """Append a line, and return when it is on the disk."""
        line = json.dumps({"event": event, "at": time.time(), **fields}).encode() + b"\n"
        with self._lock:
            os.write(self._file, line)
            os.fsync(self._file)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal that are whole; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
