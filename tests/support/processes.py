"""Finds processes by what they inherited."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process that runs.

    Attributes:
        pid: its id.
        command: its program and arguments, separated by spaces.
        environ: the environment that it was started with.
    """

    pid: int
    command: str
    environ: dict[str, str]


def processes_with(variable: str, value: str) -> list[Process]:
    """Processes other than this one that were started with a value of an environment variable."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            pairs = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue  # it ended, or is another user's
        environ = dict(pair.partition("=")[::2] for pair in pairs)
        if environ.get(variable) == value:
            found.append(Process(int(folder.name), command.replace("\0", " ").strip(), environ))
    return found
