"""The owner of an embedded store's lock: chDB lets one process at a time open a folder."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SHOWN = 120


@dataclass(frozen=True, slots=True)
class LockOwner:
    """The process that has a folder open; ``pid`` is None where the lock does not say."""

    pid: int | None
    command: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return "another process"
        return f"process {self.pid} ({self.command})" if self.command else f"process {self.pid}"


def lock_owner(folder: str, *, or_this: bool = False) -> LockOwner | None:
    """The other process that has the folder open; None where it is free, or this process has it.

    Args:
        folder: of the store.
        or_this: name this process, too, where it has it.

    While it runs, the engine keeps a file ``status`` there locked, with its process id in it. Reading it before the
    engine tries to open the folder spares the user the engine's own messages on stderr.
    """
    try:
        file = open(Path(folder, "status"), "rb")  # noqa: SIM115 - closed below, after fcntl is imported
    except OSError:
        return None
    import fcntl  # not on Windows, where there is no chDB and so no such file

    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            pid = _pid_in(file.read(200))
            return None if pid == os.getpid() and not or_this else LockOwner(pid, _command_of(pid))
    return None


def _pid_in(status: bytes) -> int | None:
    found = re.search(rb"PID: (\d+)", status)
    return int(found[1]) if found else None


def _command_of(pid: int | None) -> str:
    if pid is None:
        return ""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        command = b" ".join(words).decode("utf-8", "replace")
    except OSError:
        try:
            asked = subprocess.run(
                ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        command = asked.stdout
    command = "".join(character if character.isprintable() else " " for character in command).strip()
    return command if len(command) <= _SHOWN else command[: _SHOWN - 1] + "…"
