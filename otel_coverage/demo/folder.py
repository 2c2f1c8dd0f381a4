"""A temporary folder that processes may still write to while it is deleted."""

from __future__ import annotations

import errno
import tempfile
import time

_PATIENCE = 10.0  # seconds


class TemporaryFolder(tempfile.TemporaryDirectory[str]):
    """A ``TemporaryDirectory`` that has a spool in it.

    The process that sends a spool ends because the folder is gone. Until then it may write its status, just when all
    files of the folder have been deleted and the folder itself has not.
    """

    def cleanup(self) -> None:
        """Delete the folder.

        Raises:
            OSError: it cannot be deleted, or is written to without end.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                super().cleanup()
            except OSError as error:
                if error.errno != errno.ENOTEMPTY or time.monotonic() > deadline:
                    raise
            else:
                return
