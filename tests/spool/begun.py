"""A process that begins something, and is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.commands import clean_environment

# in a process of its own, since its locks, and so its regions, end when a descriptor of the file is closed
_PREAMBLE = """
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from otel_coverage.spool.begun import Begun, Slots

slots = Slots(Path(sys.argv[1]))


def note(name, span_id=""):
    return Begun("server", "checkout", "night-1", "", "", span_id, "p" * 16, str(os.getpid()), "1", "", name)


def is_known_to_live():
    # as another process sees it: one that asks for itself gives up its locks
    asking = (
        "import sys; from pathlib import Path; from otel_coverage.spool.begun import is_anyone_alive; "
        "sys.exit(not is_anyone_alive(Path(sys.argv[1])))"
    )
    return subprocess.run([sys.executable, "-c", asking, sys.argv[1]], check=False).returncode == 0


def span(id):
    return SimpleNamespace(context=SimpleNamespace(span_id=id))

"""
_KILLED = "\nos.kill(os.getpid(), signal.SIGKILL)\n"


def left_behind(folder: Path, program: str) -> int:
    """Have a process run a program, and be killed then. Returns its exit code.

    Args:
        folder: the spool's.
        program: knows ``slots``, and makes notes and spans by ``note()`` and ``span()``.
    """
    command = [sys.executable, "-c", f"{_PREAMBLE}{program}{_KILLED}", str(folder)]
    return subprocess.run(command, env=clean_environment(), check=False).returncode
