"""Who reads standard output: people get tables, programs JSON."""

from __future__ import annotations

import os
import stat
import sys

DEFAULT_HELP = "[table on a terminal and in the log of a CI job, else json]"

_CI = ("CI", "GITHUB_ACTIONS", "GITLAB_CI")
_OFF = frozenset({"", "0", "false"})


def read_by_people() -> bool:
    """Whether standard output is a terminal, or the log of a CI job: a pipe, and not a file, while CI is set."""
    if sys.stdout.isatty():
        return True
    if all(os.environ.get(name, "").lower() in _OFF for name in _CI):
        return False
    try:
        return not stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    except (OSError, ValueError):  # no file at all
        return True
