"""The revision of a source tree: from ``OTEL_RESOURCE_ATTRIBUTES``, else from git."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.sdk.resources import OTELResourceDetector

from otel_coverage.git import git
from otel_coverage.source import is_foreign, is_own, python_files

UNKNOWN = "unknown"
"""The revision of sources of which nobody says what they are: one of its own, to be named like any other."""


def revision_of(folders: Sequence[str | Path]) -> str | None:
    """The git revision of folders; None where none of them is in a work tree with a commit.

    Returns:
        ``<sha>``, or ``<sha>+dirty.<digest>`` where what the interpreter would compile below the folders differs from
        that commit, the one of the first folder that has one. The digest (12 hexadecimal digits of SHA-256) is of the
        names and contents of the Python files that differ: changed, deleted, or not ignored and unknown to git,
        whatever git was set to assume of them. Files of submodules are compared with the commit that the outer commit
        names; those of other repositories below the folders, and of folders outside the repository, all differ.
        It does not depend on git's configuration: two work trees with the same sources have the same revision.
    """
    paths = [Path(folder).resolve() for folder in folders]
    repository = next(filter(None, map(_repository_of, paths)), None)
    if repository is None:
        return None
    inside = [path for path in paths if path.is_relative_to(repository.top) and not _is_ignored(path)]
    differences = repository.differences(repository.head, inside)
    for path in paths:
        if path not in inside:
            differences.update(_contents_of(path))
    if not differences:
        return repository.head
    digest = hashlib.sha256()
    for name in sorted(differences):
        digest.update(name + b"\0" + differences[name])
    return f"{repository.head}+dirty.{digest.hexdigest()[:12]}"


def differing_files(folder: str | Path, files: Sequence[Path], revision: str) -> frozenset[Path] | None:
    """The files whose content is not that of a revision; None where no repository here knows that.

    Args:
        folder: whose work tree is asked.
        files: absolute, without symbolic links.
        revision: one that names a commit; ``+dirty`` ones are known of where the work tree is at just that.
    """
    repository = _repository_of(Path(folder))
    if repository is None or not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", revision):
        return None
    inside = [file for file in files if file.is_relative_to(repository.top)]
    if len(inside) < len(files) or git(repository.top, "cat-file", "-e", f"{revision}^{{commit}}") is None:
        return None
    below = Path(os.path.commonpath([file.parent for file in inside]))
    changed = repository.differences(revision, [below])
    return frozenset(repository.top / os.fsdecode(name) for name in changed) & frozenset(inside)


def current_revision(folders: Sequence[str | Path]) -> str:
    """``vcs.ref.head.revision`` of ``OTEL_RESOURCE_ATTRIBUTES``, else the git revision of folders, else ``unknown``.

    Traced services read the same variable, so that services and commands in one environment agree.
    """
    return _resource_attribute("vcs.ref.head.revision") or revision_of(folders) or UNKNOWN


def current_namespace() -> str:
    """``service.namespace`` of ``OTEL_RESOURCE_ATTRIBUTES``; empty by default."""
    return _resource_attribute("service.namespace")


def commit_of(name: str, folder: Path) -> str | None:
    """The commit that git takes a name for, such as ``HEAD``, a tag or a short SHA; None if git knows none."""
    found = git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return found.decode().strip() if found is not None else None


def _resource_attribute(name: str) -> str:
    return str(OTELResourceDetector().detect().attributes.get(name, ""))


_Differences = dict[bytes, bytes]
"""By name, the digest of each file that differs; empty for a deleted one."""


@dataclass(frozen=True, slots=True)
class _Repository:
    """A git work tree.

    Attributes:
        top: its folder.
        head: the commit that is checked out; empty where there is none.
    """

    top: Path
    head: str

    @classmethod
    def at(cls, folder: Path) -> _Repository | None:
        """The work tree that a folder belongs to; None where it belongs to none."""
        top = git(folder, "rev-parse", "--show-toplevel")
        if top is None:
            return None
        head = git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
        return cls(Path(os.fsdecode(top).removesuffix("\n")), (head or b"").decode().strip())

    def differences(self, commit: str, paths: Sequence[Path]) -> _Differences:
        """The Python files below ``paths`` that differ from ``commit``; all of them where that is not here."""
        known = bool(commit) and (
            commit == self.head or git(self.top, "cat-file", "-e", f"{commit}^{{commit}}") is not None
        )
        pathspecs = [spec for path in paths for spec in _pathspecs(path, self.top)]
        candidates: set[bytes] = set()
        listed = git(self.top, "ls-files", "-v", "-z", "--cached", "--others", "--exclude-standard", "--", *pathspecs)
        for tag, name in _tagged(listed or b""):
            is_left_out = tag in b"Ss" and not self._path(name).exists()  # by a sparse checkout
            if not is_left_out and (not known or tag not in b"H"):
                candidates.add(name)  # git compares the others, but not those that it was set to assume something of
        nested = {folder for path in paths for folder in _repositories_below(path)} - {self.top}
        if known:
            changed = git(
                self.top, "diff", commit, "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=all",
                "-z", "--", *pathspecs,
            )  # fmt: skip
            candidates.update(_names(changed or b""))
        blobs, submodules = self._objects(commit) if known and (candidates or nested) else ({}, {})
        chosen = sorted(name for name in candidates if self._is_own(name, paths))
        contents = self._contents(chosen)
        found = {name: contents[name] for name in chosen if contents[name] != blobs.get(name, b"")}
        for folder in nested:
            prefix = os.fsencode(folder.relative_to(self.top).as_posix())
            below = [max(folder, path) for path in paths if path.is_relative_to(folder) or folder.is_relative_to(path)]
            repository = _Repository.at(folder)
            if repository is None or repository.top != folder:
                inner = {name: digest for path in below for name, digest in _contents_of(path, folder).items()}
            else:
                inner = repository.differences(submodules.get(prefix, ""), below)
            found.update({prefix + b"/" + name: digest for name, digest in inner.items()})
        return found

    def _objects(self, commit: str) -> tuple[dict[bytes, bytes], dict[bytes, str]]:
        """The digests of a commit's files, and the commits of its submodules, by name."""
        blobs: dict[bytes, bytes] = {}
        submodules: dict[bytes, str] = {}
        for entry in _names(git(self.top, "ls-tree", "-r", "-z", "--full-tree", commit) or b""):
            header, _, name = entry.partition(b"\t")
            mode, kind, digest = header.split()
            if kind == b"commit":
                submodules[name] = digest.decode()
            elif mode != b"120000":  # what a link points to counts where it lies
                blobs[name] = digest
        return blobs, submodules

    def _contents(self, names: Sequence[bytes]) -> dict[bytes, bytes]:
        """The digests that files have in git, which may convert line ends and encodings; empty for anything else."""
        found = dict.fromkeys(names, b"")
        files = [name for name in names if _is_file(self._path(name))]
        converted = [name for name in files if b"\n" not in name]
        if not files:
            return found
        paths = b"".join(name + b"\n" for name in converted)
        digests = (git(self.top, "hash-object", "--stdin-paths", given=paths) or b"").split()
        found.update({name: _content_digest(self._path(name)) for name in files})
        if len(digests) == len(converted):
            found.update(zip(converted, digests, strict=True))
        return found

    def _is_own(self, name: bytes, paths: Sequence[Path]) -> bool:
        """Whether the file belongs to the application, see :class:`~otel_coverage.source.SourceTree`."""
        return any(is_own(str(self._path(name)), str(path)) for path in paths)

    def _path(self, name: bytes) -> Path:
        return self.top / os.fsdecode(name)


def _repository_of(path: Path) -> _Repository | None:
    """The repository whose commit says what lies at ``path``; None where that is not said by any."""
    repository = _Repository.at(_folder_of(path))
    return repository if repository is not None and repository.head and not _is_ignored(path) else None


def _is_ignored(path: Path) -> bool:
    """Whether git ignores it, e.g. a package installed below an unrelated work tree."""
    return git(_folder_of(path), "check-ignore", "--quiet", str(path)) is not None


def _folder_of(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _repositories_below(path: Path) -> Iterator[Path]:
    """Folders below ``path``, without itself, that are work trees of their own; not those below them."""
    if not path.is_dir():
        return
    for here, folders, files in os.walk(path):
        if here != str(path) and (".git" in folders or ".git" in files):
            folders.clear()
            yield Path(here)
        else:
            folders[:] = [name for name in folders if not is_foreign(os.path.join(here, name))]


def _contents_of(path: Path, base: Path | None = None) -> _Differences:
    """The contents of Python files that no commit is known of, by their name below ``base``, the folder above."""
    base = path.parent if base is None else base
    names = (Path(filename).relative_to(base).as_posix() for filename in python_files(str(path)))
    return {os.fsencode(name): _content_digest(base / name) for name in names if _is_file(base / name)}


def _tagged(output: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The tags and names that ``ls-files -v -z`` writes, without folders."""
    for entry in _names(output):
        tag, _, name = entry.partition(b" ")
        if not name.endswith(b"/"):
            yield tag, name


def _names(output: bytes) -> list[bytes]:
    return [name for name in output.split(b"\0") if name]


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


def _is_file(path: Path) -> bool:
    """Whether it is a file, and not a link: what that points to counts where it lies."""
    return path.is_file() and not path.is_symlink()


def _content_digest(path: Path) -> bytes:
    """Digest of a file's content; empty for one that cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest().encode()
    except OSError:
        return b""
