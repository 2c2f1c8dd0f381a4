"""Expensive results, computed once for all pytest processes and stored as JSON."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Any]) -> tuple[Path, Any]:
    """The folder and the result of ``make``, which the first process calls while the others wait.

    If it fails, every process fails with the same message, without another call.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # each xdist worker has its own subfolder
    folder = shared / name
    result = shared / f"{name}.json"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            folder.mkdir()
            try:
                made = {"made": make(folder)}
            except Exception as error:
                made = {"failed": f"{type(error).__name__}: {error}"}
            result.write_text(json.dumps(made))
    found = json.loads(result.read_text())
    if "failed" in found:
        raise AssertionError(f"{name} failed: {found['failed']}")
    return folder, found["made"]
