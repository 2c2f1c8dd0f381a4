"""The process that sends what lies in a spool: ``python -m otel_coverage.spool.sender FOLDER AGE BYTES LINGER``.

There is one for each folder, by a lock. It ends when the folder is empty and no process of the service lives; while the
receiver does not answer, a while after the last of them has ended: the next one starts another.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from otel_coverage.errors import ConfigurationError
from otel_coverage.spool import begun
from otel_coverage.spool.begun_spans import keep_begun
from otel_coverage.spool.drain import Drain
from otel_coverage.spool.folder import check_private, write_privately
from otel_coverage.spool.launch import LOCK, STATUS, WANTED, destination
from otel_coverage.spool.receiver import Answer, Outcome, connect, endpoint
from otel_coverage.spool.spool import Spool
from otel_coverage.spool.spool_file import unsent_bytes

_TAKEOVER_SECONDS = 30.0
_BUSY_SECONDS = 0.05  # between two looks into the folder, while something comes
_IDLE_SECONDS = 0.25
_IDLE_AFTER = 10.0
_LOOK_SECONDS = 0.5  # between two looks for processes that are gone
_LEAVE_SECONDS = 1.0
_MAX_DELAY = 30.0  # seconds between two attempts
_RESOURCE_DAYS = 30


class SenderLock:
    """Makes its holder the only one that drains a folder.

    Args:
        folder: the spool's.

    Raises:
        OSError: the folder is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def take(self, timeout: float) -> bool:
        """Become the only one. Returns whether that was possible within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.01)
                continue
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, destination().encode(), 0)
            return True

    def release(self) -> None:
        """Let others take it."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)


class Sender:
    """Drains one folder until nobody needs it any more.

    Args:
        folder: the spool's.
        max_age: seconds after which a request is deleted, not sent.
        max_bytes: what the folder may hold.
        linger: seconds that it goes on where the receiver does not answer, and no process of the service lives.

    Attributes:
        is_stopped: whether a signal has asked it to leave.
    """

    def __init__(self, folder: Path, max_age: float, max_bytes: int, linger: float) -> None:
        self._folder = folder
        self._linger = linger
        self._spool = Spool(folder, max_bytes=max_bytes)
        self._drain = Drain(folder, _Unconnected(), max_age, max_bytes, self._advanced)
        self._started = time.time()
        self._failures = 0
        self._retry_at = 0.0
        self._error, self._error_at = "", 0.0
        self._sent_at = time.monotonic()
        self._alive_at = time.monotonic()
        self._looked_at = -_LOOK_SECONDS
        self._is_all_kept = False  # what those had begun who have ended
        self._written: dict[str, object] = {}
        self.is_stopped = False

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Leave after the message that is being sent."""
        self.is_stopped = True

    def run(self) -> bool:
        """Drain until nobody needs that any more, or another sender is wanted.

        Returns:
            Whether nothing was left, so that the folder is served by nobody on purpose.

        Raises:
            OSError: the folder is gone.
        """
        try:
            self._drain.receiver = connect()
        except ConfigurationError as error:
            self._drain.receiver = _Unconnected(str(error))
        self._write_status()
        threading.Thread(target=self._leave_in_time, name="otel-coverage-leave", daemon=True).start()
        is_done = False
        while not self.is_stopped and not is_done and _is_wanted(self._folder):
            if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
                self._look()
            if time.monotonic() >= self._retry_at:
                self._pass()
            is_done = not self._is_needed()
            if not is_done:
                is_busy = not self._failures and time.monotonic() - self._sent_at < _IDLE_AFTER
                time.sleep(_BUSY_SECONDS if is_busy else _IDLE_SECONDS)
        self._write_status()
        self._drain.receiver.close()
        return is_done and not self._failures

    def _leave_in_time(self) -> None:
        """End the process where it is to leave, and still waits for an answer: what was not acknowledged stays."""
        while not self.is_stopped and _is_wanted(self._folder):
            time.sleep(_IDLE_SECONDS)
        time.sleep(_LEAVE_SECONDS)
        os._exit(0)

    def _pass(self) -> None:
        if self._drain.run():
            self._failures = 0
        else:
            self._failures += 1
            self._error, self._error_at = self._drain.error, time.time()
            delay = min(0.25 * 2 ** min(self._failures, 10), _MAX_DELAY) * random.uniform(0.8, 1.2)  # noqa: S311
            self._retry_at = time.monotonic() + max(delay, min(self._drain.delay or 0.0, 10 * _MAX_DELAY))
        self._write_status()

    def _look(self) -> None:
        """See whether anybody lives, and keep what those had begun who do not."""
        self._looked_at = time.monotonic()
        if begun.is_anyone_alive(self._folder):
            self._alive_at = self._looked_at
        self._is_all_kept = False
        with suppress(OSError):  # no room: later
            keep_begun(self._spool)
            self._is_all_kept = True

    def _is_needed(self) -> bool:
        if self._alive_at >= self._looked_at:
            return True
        if not unsent_bytes(self._folder) and not self._drain.has_lost_counts:
            self._look()  # there may be room now for what those had begun who have ended
            if self._is_all_kept and not unsent_bytes(self._folder):
                return self._alive_at >= self._looked_at
        is_stuck = self._failures or not self._is_all_kept
        return not is_stuck or time.monotonic() - self._alive_at < self._linger

    def _advanced(self) -> None:
        self._sent_at = time.monotonic()
        self._failures = 0

    def _write_status(self) -> None:
        counts = self._drain.counts
        status: dict[str, object] = {
            "pid": os.getpid(),
            "started": self._started,
            "endpoint": endpoint(),
            "sent": counts.sent,
            "refused": counts.refused,
            "expired": counts.expired,
            "damaged_bytes": counts.damaged,
            "is_failing": bool(self._failures),
            "error": self._error,
            "error_at": self._error_at,
        }
        if status != self._written:
            self._written = status
            with suppress(OSError):
                write_privately(self._folder / STATUS, json.dumps(status).encode())


def _is_wanted(folder: Path) -> bool:
    """Whether no other sender is wanted than one with this process's destination."""
    try:
        wanted = (folder / WANTED).read_text()
    except OSError:
        return True
    return wanted == destination()


class _Unconnected:
    """In place of a receiver that the environment does not name."""

    def __init__(self, error: str = "not connected") -> None:
        self._error = error

    def send(self, request: bytes) -> Answer:
        return Answer(Outcome.LATER, self._error)

    def close(self) -> None:
        pass


def main(arguments: list[str]) -> int:
    """Drain the folder that the arguments name. Returns the exit code."""
    folder, max_age, max_bytes, linger = Path(arguments[0]), float(arguments[1]), int(arguments[2]), float(arguments[3])
    check_private(folder)
    os.closerange(3, min(65536, os.sysconf("SC_OPEN_MAX")))  # our starter's
    os.chdir("/")
    with suppress(OSError):
        os.setsid()  # a signal of its terminal is not for us
    with suppress(OSError):
        os.nice(5)  # the application goes first
    lock = SenderLock(folder)
    if not lock.take(0):
        if not lock.take(_TAKEOVER_SECONDS if (folder / WANTED).exists() else 0.5):
            return 0  # another one serves the folder
        if not _is_wanted(folder):
            lock.release()
            return 0  # meanwhile another one is: a flush waits for the lock, too
    with suppress(OSError):
        write_privately(folder / WANTED, destination().encode())
    while True:
        sender = Sender(folder, max_age, max_bytes, linger)
        signal.signal(signal.SIGTERM, sender.stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        is_served = not sender.run()
        lock.release()
        if sender.is_stopped or is_served:
            return 0
        # who has come since the last look saw the lock held, and relies on this process
        if not (begun.is_anyone_alive(folder) or unsent_bytes(folder)) or not lock.take(0):
            return 0


if __name__ == "__main__":
    with suppress(FileNotFoundError):  # the folder is gone, and everything in it
        sys.exit(main(sys.argv[1:]))
