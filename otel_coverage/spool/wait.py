"""Waiting until a spool is sent, for the process that a container ends with: the sender ends with it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from otel_coverage.settings import Settings
from otel_coverage.spool import spool_file
from otel_coverage.spool.folder import spool_folder
from otel_coverage.spool.launch import read_status

SECONDS = 1.5
_POLL_SECONDS = 0.01


def wait_until_sent(folder: Path, unsent: Callable[[], int], timeout: float) -> bool:
    """Wait until everything is sent; not for a receiver that does not answer. Never raises.

    Args:
        folder: the spool's.
        unsent: the bytes that are not sent yet.
        timeout: seconds.

    Returns:
        Whether everything is sent.
    """
    deadline = time.monotonic() + timeout
    try:
        while unsent():
            if time.monotonic() > deadline or read_status(folder).get("is_failing"):
                return False
            time.sleep(_POLL_SECONDS)
    except OSError:
        return False
    return True


def wait_as_first_process(timeout: float = SECONDS) -> bool:
    """Wait for what children have appended to the service's spool, in a process that has no spool of its own.

    Such as the master of gunicorn, which imports nothing of the application. Does nothing in any process but the first
    one of a container.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    folder = spool_folder(Settings.load()) if os.getpid() == 1 and spool_file.is_supported() else None
    if folder is None or not folder.is_dir():
        return True
    return wait_until_sent(folder, lambda: spool_file.unsent_bytes(folder, None), timeout)
