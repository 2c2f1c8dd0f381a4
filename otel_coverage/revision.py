"""The revision of a source tree, as git knows it."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path


def revision_of(folders: Sequence[str | Path]) -> str | None:
    """The commit that the folders are checked out at, or None outside a git work tree.

    Returns:
        ``<sha>``, or ``<sha>+dirty.<digest>`` where Python files below the folders differ from that commit. The digest
        (12 hexadecimal digits of SHA-256) covers the difference and the files git does not know yet, so that two work
        trees with the same sources have the same revision.
    """
    if not folders:
        return None
    paths = [Path(folder).resolve() for folder in folders]
    base = paths[0] if paths[0].is_dir() else paths[0].parent
    head, top = _git(base, "rev-parse", "--verify", "--quiet", "HEAD"), _git(base, "rev-parse", "--show-toplevel")
    if head is None or top is None or _git(base, "check-ignore", "--quiet", str(paths[0])) is not None:
        return None  # no commit yet, no work tree, or an installed package that lies in somebody's work tree
    sha, tree = head.decode().strip(), Path(top.decode().strip())
    wanted = [_pathspec(path, tree) for path in paths if path.is_relative_to(tree)]
    difference = _git(base, "diff", "HEAD", "--binary", "--no-ext-diff", "--", *wanted) or b""
    untracked = _git(base, "ls-files", "--others", "--exclude-standard", "-z", "--full-name", "--", *wanted) or b""
    if not difference and not untracked:
        return sha
    digest = hashlib.sha256(difference)
    for name in sorted(filter(None, untracked.split(b"\0"))):
        digest.update(b"\0" + name + b"\0")
        digest.update((tree / name.decode("utf-8", "surrogateescape")).read_bytes())
    return f"{sha}+dirty.{digest.hexdigest()[:12]}"


def _pathspec(path: Path, tree: Path) -> str:
    """The Python files of a folder, or one file, in git's words."""
    below = path.relative_to(tree).as_posix()
    if path.is_file():
        return f":(top,literal){below}"
    return ":(top,glob)**/*.py" if below == "." else f":(top,glob){below}/**/*.py"


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git prints, or None where it fails or is not installed."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
