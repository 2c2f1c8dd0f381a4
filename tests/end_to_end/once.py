"""Something expensive, made once for all of pytest's processes and kept as JSON."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Any]) -> tuple[Path, Any]:
    """The folder and the answer of ``make``, called by whichever process comes first; the others wait for it.

    Where it fails, each that asks fails for the same reason without trying again.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # each xdist worker has a folder below it
    folder = shared / name
    answer = shared / f"{name}.json"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            folder.mkdir()
            try:
                made = {"made": make(folder)}
            except Exception as error:
                made = {"failed": f"{type(error).__name__}: {error}"}
            answer.write_text(json.dumps(made))
    found = json.loads(answer.read_text())
    if "failed" in found:
        raise AssertionError(f"{name} could not be made: {found['failed']}")
    return folder, found["made"]
