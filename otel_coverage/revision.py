"""The revision of a source tree, as git knows it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

# Set by git while it runs a hook: they would send our git to that hook's repository instead of the folder's.
_HOOK_VARIABLES = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"}
)


def revision_of(folders: Sequence[str | Path]) -> str | None:
    """The commit that the folders are checked out at, or None outside a git work tree.

    Returns:
        ``<sha>``, or ``<sha>+dirty.<digest>`` where Python files below the folders differ from that commit. The digest
        (12 hexadecimal digits of SHA-256) covers the names and contents of those files, also of the ones that git does
        not know yet: two work trees with the same sources have the same revision, whatever their git is set to show.
    """
    if not folders:
        return None
    paths = [Path(folder).resolve() for folder in folders]
    base = paths[0] if paths[0].is_dir() else paths[0].parent
    head, top = _git(base, "rev-parse", "--verify", "--quiet", "HEAD"), _git(base, "rev-parse", "--show-toplevel")
    if head is None or top is None or _git(base, "check-ignore", "--quiet", str(paths[0])) is not None:
        return None  # no commit yet, no work tree, or an installed package that lies in somebody's work tree
    sha, tree = head.decode().strip(), Path(os.fsdecode(top).removesuffix("\n"))
    wanted = [spec for path in paths if path.is_relative_to(tree) for spec in _pathspecs(path, tree)]
    changed = _git(tree, "diff", "HEAD", "--name-only", "--no-renames", "--no-ext-diff", "-z", "--", *wanted) or b""
    unknown = _git(tree, "ls-files", "--others", "--exclude-standard", "-z", "--", *wanted) or b""
    names = sorted(set(filter(None, (changed + unknown).split(b"\0"))))
    if not names:
        return sha
    digest = hashlib.sha256()
    for name in names:
        digest.update(name + b"\0" + _content_digest(tree / os.fsdecode(name)))
    return f"{sha}+dirty.{digest.hexdigest()[:12]}"


def _pathspecs(path: Path, tree: Path) -> list[str]:
    """The Python files of a folder, or one file, in git's words."""
    below = path.relative_to(tree).as_posix()
    if path.is_file():
        return [f":(top,literal){below}"]
    folder = "" if below == "." else f"{_literally(below)}/"
    return [f":(top,glob){folder}**/*{suffix}" for suffix in (".py", ".pyw")]


def _literally(path: str) -> str:
    """The path as a glob that matches it alone."""
    return "".join(f"\\{character}" if character in "*?[]\\" else character for character in path)


def _content_digest(path: Path) -> bytes:
    """Digest of a file's content; nothing for a file that is gone."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git prints, or None where it fails or is not installed."""
    environment = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
    environment["GIT_OPTIONAL_LOCKS"] = "0"  # looking is not to get in the way of somebody's commit
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, check=False, timeout=30, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
