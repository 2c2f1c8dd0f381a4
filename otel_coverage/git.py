"""Git, asked without a shell and whatever else is set in the environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# set by git while it runs a hook: they would redirect our git commands to the hook's repository
_HOOK_VARIABLES = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"}
    # and those that say how to read what we say of paths
    | {f"GIT_{how}_PATHSPECS" for how in ("LITERAL", "GLOB", "NOGLOB", "ICASE")}
)


def git(folder: Path, *arguments: str, given: bytes = b"", timeout: float = 30.0) -> bytes | None:
    """The output of git; None if it fails or is not installed.

    Args:
        folder: where it runs.
        arguments: a command and what follows; a name that a user gives stands behind ``--end-of-options`` or ``--``.
        given: its standard input.
        timeout: seconds.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
    environment["GIT_OPTIONAL_LOCKS"] = "0"  # do not block a concurrent commit
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            input=given,
            capture_output=True,
            check=False,
            timeout=timeout,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
