"""The revision of a source tree: from ``OTEL_RESOURCE_ATTRIBUTES``, else from git."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.sdk.resources import OTELResourceDetector

# set by git while it runs a hook: they would redirect our git commands to the hook's repository
_HOOK_VARIABLES = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"}
)


def revision_of(folders: Sequence[str | Path]) -> str | None:
    """The git revision of folders; None outside a work tree.

    Returns:
        ``<sha>``, or ``<sha>+dirty.<digest>`` where Python files below the folders differ from that commit. The digest
        (12 hexadecimal digits of SHA-256) covers the names and contents of those files, including untracked ones. It
        does not depend on git's configuration: two work trees with the same sources have the same revision.
    """
    if not folders:
        return None
    paths = [Path(folder).resolve() for folder in folders]
    base = paths[0] if paths[0].is_dir() else paths[0].parent
    head, top = _git(base, "rev-parse", "--verify", "--quiet", "HEAD"), _git(base, "rev-parse", "--show-toplevel")
    if head is None or top is None or _git(base, "check-ignore", "--quiet", str(paths[0])) is not None:
        return None  # no commit, no work tree, or a package installed below an unrelated work tree
    sha, tree = head.decode().strip(), Path(os.fsdecode(top).removesuffix("\n"))
    pathspecs = [spec for path in paths if path.is_relative_to(tree) for spec in _pathspecs(path, tree)]
    changed = _git(tree, "diff", "HEAD", "--name-only", "--no-renames", "--no-ext-diff", "-z", "--", *pathspecs) or b""
    untracked = _git(tree, "ls-files", "--others", "--exclude-standard", "-z", "--", *pathspecs) or b""
    names = sorted(set(filter(None, (changed + untracked).split(b"\0"))))
    if not names:
        return sha
    digest = hashlib.sha256()
    for name in names:
        digest.update(name + b"\0" + _content_digest(tree / os.fsdecode(name)))
    return f"{sha}+dirty.{digest.hexdigest()[:12]}"


def current_revision(folders: Sequence[str | Path]) -> str | None:
    """``vcs.ref.head.revision`` of ``OTEL_RESOURCE_ATTRIBUTES``, else the git revision of folders; None without either.

    Traced services read the same variable, so that services and commands in one environment agree.
    """
    return _resource_attribute("vcs.ref.head.revision") or revision_of(folders)


def current_namespace() -> str:
    """``service.namespace`` of ``OTEL_RESOURCE_ATTRIBUTES``; empty by default."""
    return _resource_attribute("service.namespace")


def _resource_attribute(name: str) -> str:
    return str(OTELResourceDetector().detect().attributes.get(name, ""))


def _pathspecs(path: Path, tree: Path) -> list[str]:
    """The pathspecs of a folder's Python files, or of one file."""
    below = path.relative_to(tree).as_posix()
    if path.is_file():
        return [f":(top,literal){below}"]
    folder = "" if below == "." else f"{_escape_glob(below)}/"
    return [f":(top,glob){folder}**/*{suffix}" for suffix in (".py", ".pyw")]


def _escape_glob(path: str) -> str:
    """A glob that matches only this path."""
    return "".join(f"\\{character}" if character in "*?[]\\" else character for character in path)


def _content_digest(path: Path) -> bytes:
    """Digest of a file's content; empty for a deleted file."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""


def _git(folder: Path, *arguments: str) -> bytes | None:
    """The output of git; None if it fails or is not installed."""
    environment = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
    environment["GIT_OPTIONAL_LOCKS"] = "0"  # do not block a concurrent commit
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, check=False, timeout=30, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
