"""The files that differ between two commits, or between a commit and the work tree, submodules' included."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from otel_coverage.errors import ConfigurationError
from otel_coverage.git import git

ADDED, DELETED, MODIFIED, RENAMED = "added", "deleted", "modified", "renamed"

_TIMEOUT = 300.0  # seconds: a large repository whose index is cold takes a while
_REGULAR = (b"100644", b"100755")
_SUBMODULE = b"160000"
_NOTHING = b"000000"
_STATUS = {b"A": ADDED, b"D": DELETED, b"M": MODIFIED, b"T": MODIFIED, b"U": MODIFIED}


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that differs.

    Attributes:
        path: below the outermost repository's folder, with ``/``; of the later side, where it is there.
        former: its earlier path; another one only where it was renamed.
        status: ``added``, ``deleted``, ``modified`` or ``renamed``, whether or not its content differs, too.
        unreadable: why its contents cannot be compared, a part of a sentence; empty where they can.
        folder: of the work tree that it belongs to.
        old, new: the blobs in that one's object store; empty for no file, and `new` for the one in the work tree.
        name: its path in that work tree.
    """

    path: str
    former: str
    status: str
    unreadable: str = ""
    folder: Path = field(default_factory=Path, repr=False)
    old: str = ""
    new: str = ""
    name: str = ""

    def before(self) -> bytes | None:
        """The earlier content; None where there was no file, or it cannot be read."""
        return self._blob(self.old) if self.old else None

    def after(self) -> bytes | None:
        """The later content; None where there is no file, or it cannot be read."""
        if self.status == DELETED:
            return None
        if self.new:
            return self._blob(self.new)
        try:
            return (self.folder / self.name).read_bytes()
        except OSError:
            return None

    def _blob(self, digest: str) -> bytes | None:
        return git(self.folder, "cat-file", "blob", digest, timeout=_TIMEOUT)


@dataclass(frozen=True, slots=True)
class WorkTree:
    """A git work tree with a commit.

    Attributes:
        top: its folder.
        head: the commit that is checked out.
        shallow: whether older commits are missing.
    """

    top: Path
    head: str
    shallow: bool

    @classmethod
    def at(cls, folder: Path) -> WorkTree:
        """The one that a folder belongs to.

        Raises:
            ConfigurationError: there is none, or it has no commit.
        """
        top = git(folder, "rev-parse", "--show-toplevel")
        if top is None:
            raise ConfigurationError(f"{folder.absolute()}: in no git work tree; run the command in a checkout of it")
        path = Path(os.fsdecode(top).removesuffix("\n"))
        head = git(path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if head is None:
            raise ConfigurationError(f"{path}: the git repository has no commit yet: nothing to compare with")
        shallow = git(path, "rev-parse", "--is-shallow-repository")
        return cls(path, head.decode().strip(), (shallow or b"").strip() == b"true")

    def commit(self, name: str) -> str:
        """The commit that git takes a name for.

        Raises:
            ConfigurationError: git here does not have it.
        """
        found = git(self.top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if found is None:
            raise ConfigurationError(f"{self.top}: git knows no commit {name!r}; {self._fetch(name)}")
        return found.decode().strip()

    def has(self, commit: str) -> bool:
        """Whether a commit, by its full digest, is here."""
        return git(self.top, "cat-file", "-e", "--end-of-options", f"{commit}^{{commit}}") is not None

    def merge_base(self, commit: str) -> str:
        """The commit where the checked out branch left the one that `commit` is of.

        Raises:
            ConfigurationError: none is known.
        """
        found = git(self.top, "merge-base", commit, self.head, timeout=_TIMEOUT)
        if found is None or not found.strip():
            why = self._fetch(commit) if self.shallow else "they are of unrelated histories: name another base"
            raise ConfigurationError(f"{self.top}: {commit[:12]} and HEAD have no common commit here; {why}")
        return found.split()[0].decode()

    def ancestors(self, commit: str) -> Iterator[str]:
        """A commit and those before it on its own branch, the newest first; a thousand at most."""
        found = git(self.top, "rev-list", "--first-parent", "--max-count=1000", commit, timeout=_TIMEOUT) or b""
        yield from (line.decode() for line in found.split())

    def files(self) -> list[str]:
        """All files that are tracked, or not ignored; sorted."""
        listed = git(self.top, "ls-files", "-z", "--cached", "--others", "--exclude-standard", timeout=_TIMEOUT)
        return sorted({os.fsdecode(name) for name in (listed or b"").split(b"\0") if name})

    def _fetch(self, name: str) -> str:
        if not self.shallow:
            return "name a commit, a tag or a branch that is here, or fetch it"
        return (
            f"the clone is shallow: run `git fetch --unshallow`, or check out with fetch-depth: 0 (looked for {name})"
        )


def differing(top: Path, old: str, new: str = "") -> list[FileChange]:
    """What differs between two commits, sorted by path.

    Args:
        top: the repository's folder.
        old: the earlier commit.
        new: the later one; empty for the work tree, with what is staged, what is not, and files that git does not
            know and does not ignore. Files that are marked as assumed unchanged are compared, too.

    Raises:
        ConfigurationError: git fails.
    """
    return sorted(_differing(top, old, new, ""), key=lambda change: (change.path, change.former))


def _differing(top: Path, old: str, new: str, prefix: str) -> Iterator[FileChange]:
    found = git(
        top, "diff", "--raw", "-z", "--no-abbrev", "--find-renames", "--no-ext-diff", "--no-textconv", "--no-color",
        "--no-relative", "--ignore-submodules=none", old, *([new] if new else []), "--", timeout=_TIMEOUT,
    )  # fmt: skip
    if found is None:
        raise ConfigurationError(f"{top}: git cannot compare {old[:12]} with {new[:12] or 'the work tree'}")
    seen: set[bytes] = set()
    for header, *names in _entries(found):
        seen.update(names)
        yield from _change(top, header, names, bool(new), prefix)
    if not new:
        yield from _unknown_to_git(top, prefix)
        yield from _assumed_unchanged(top, old, seen, prefix)


def _entries(output: bytes) -> Iterator[list[bytes]]:
    """The records of ``git diff --raw -z``: a header and one name, or two where it was renamed."""
    parts = iter(output.split(b"\0"))
    for header in parts:
        if header:
            two = header.split()[-1].startswith(b"R")
            yield [header, *(next(parts) for _ in range(2 if two else 1))]


def _change(top: Path, header: bytes, names: list[bytes], committed: bool, prefix: str) -> Iterator[FileChange]:
    old_mode, new_mode, old, new, status = header.lstrip(b":").split()
    path, former = prefix + os.fsdecode(names[-1]), prefix + os.fsdecode(names[0])
    if _SUBMODULE in (old_mode, new_mode):
        yield from _submodule(top, os.fsdecode(names[-1]), old_mode, old, new if committed else b"", prefix)
        return
    kind = RENAMED if status.startswith(b"R") else _STATUS.get(status[:1], MODIFIED)
    irregular = [mode for mode in (old_mode, new_mode) if mode not in (*_REGULAR, _NOTHING)]
    yield FileChange(
        path,
        former,
        kind,
        "it is, or was, a symbolic link" if irregular else "",
        top,
        "" if old_mode == _NOTHING else old.decode(),
        new.decode() if committed and new_mode != _NOTHING else "",
        os.fsdecode(names[-1]),
    )


def _submodule(top: Path, name: str, old_mode: bytes, old: bytes, new: bytes, prefix: str) -> Iterator[FileChange]:
    """What differs in a submodule; one change for all of it where that cannot be known."""
    folder, path = top / name, prefix + name
    is_repository = (folder / ".git").exists()
    known = [commit.decode() for commit in (old, new) if commit.strip(b"0")]
    if (
        old_mode != _SUBMODULE
        or (new and not new.strip(b"0"))
        or not is_repository
        or any(git(folder, "cat-file", "-e", f"{commit}^{{commit}}") is None for commit in known)
    ):
        why = "it is a submodule whose commits are not here"
        yield FileChange(path, path, MODIFIED, why, top, name=name)
        return
    yield from _differing(folder, old.decode(), new.decode(), f"{path}/")


def _unknown_to_git(top: Path, prefix: str) -> Iterator[FileChange]:
    listed = git(top, "ls-files", "-z", "--others", "--exclude-standard", timeout=_TIMEOUT)
    for raw in filter(None, (listed or b"").split(b"\0")):
        name = os.fsdecode(raw)
        if name.endswith("/"):
            why = "it is a repository that git does not know as a submodule"
            yield FileChange(prefix + name, prefix + name, ADDED, why, top, name=name)
            continue
        why = "it is a symbolic link" if (top / name).is_symlink() else ""
        yield FileChange(prefix + name, prefix + name, ADDED, why, top, name=name)


def _assumed_unchanged(top: Path, old: str, seen: set[bytes], prefix: str) -> Iterator[FileChange]:
    """Files that git was set to take for unchanged, and that are not."""
    listed = git(top, "ls-files", "-v", "-z", timeout=_TIMEOUT) or b""
    tagged = (entry.partition(b" ") for entry in listed.split(b"\0") if entry)
    hidden = {name for tag, _, name in tagged if tag in (b"h", b"S", b"s") and name not in seen}
    hidden = {name for name in hidden if (top / os.fsdecode(name)).is_file()}
    if not hidden:
        return
    blobs: dict[bytes, bytes] = {}
    for entry in (git(top, "ls-tree", "-r", "-z", "--full-tree", old, timeout=_TIMEOUT) or b"").split(b"\0"):
        header, _, raw = entry.partition(b"\t")
        if raw in hidden:
            blobs[raw] = header.split()[2]
    for raw in hidden:
        name = os.fsdecode(raw)
        change = FileChange(
            prefix + name,
            prefix + name,
            MODIFIED if raw in blobs else ADDED,
            folder=top,
            old=blobs.get(raw, b"").decode(),
            name=name,
        )
        if change.before() != change.after():
            yield change
