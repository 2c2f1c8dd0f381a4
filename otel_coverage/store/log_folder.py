"""Where a collector keeps what it accepted until a store has it, and what one that was killed left there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from otel_coverage.errors import StoreError
from otel_coverage.store.dsn import Dsn

LOCK = "lock"  # held by the collector as long as it runs

_NAME = "otel-coverage-log"


def log_folder(store: Dsn) -> Path:
    """The folder of a store's log: within an embedded store, for a server below the user's state folder."""
    if store.kind == "chdb":
        return Path(store.path, _NAME, store.database)
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "otel-coverage" / "log" / re.sub(r"[^\w.-]", "_", f"{store.host}-{store.port}-{store.database}")


def holds_exports(folder: Path) -> bool:
    """Whether a log that no collector has open holds exports that its store may not have."""
    return any(file.stat().st_size for file in folder.glob("*.log")) and not _is_locked(folder / LOCK)


def insert_leftovers(store: Dsn) -> None:
    """Insert what a collector that was killed had accepted into its embedded store, which no process has open.

    A process of its own does it: to insert is the collector's business, and readers do not write.

    Raises:
        StoreError: it cannot be inserted, so that an answer of the store would lack it.
    """
    if not holds_exports(log_folder(store)):
        return
    command = [sys.executable, "-m", "otel_coverage", "collect", "--drain", "--store", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        reason = lines[-1].removeprefix("otel-coverage: ")
        raise StoreError(
            f"{store}: its collector was killed before the store had all that was accepted, and"
            f" `otel-coverage collect --drain --store {store}` fails: {reason}"
        )


def _is_locked(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return False
    import fcntl  # not on Windows, where there is no chDB

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False
