"""The cache of analyses: by content, in the user's cache folder.

An entry is a file of JSON with a checksum, named by the digest of all that decides about its content: the text, what
coverage.py excludes, and the versions of the interpreter, of coverage.py and of the analysis itself.
A damaged entry counts as none. Only the user can write there; a folder that others can write to is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import coverage

import otel_coverage
from otel_coverage import source, symbols
from otel_coverage.catalog import analysis, definitions
from otel_coverage.catalog.analysis import FileAnalysis

_DAY = 24 * 3600.0
_KEPT = 30 * _DAY  # since an entry was last used


class AnalysisCache:
    """Analyses that this user has made before.

    Args:
        folder: where they are kept.
        exclude_lines: see :class:`.Analyzer`.
    """

    def __init__(self, folder: Path, exclude_lines: tuple[str, ...]) -> None:
        self._folder = folder
        self._salt = json.dumps([_versions(), exclude_lines])
        self._has_written = False

    @classmethod
    def of_user(cls, exclude_lines: tuple[str, ...]) -> AnalysisCache | None:
        """The user's; None where there can be none that is private."""
        folder = _user_folder()
        return cls(folder, exclude_lines) if folder is not None and _make_private(folder) else None

    def get(self, content: str) -> FileAnalysis | None:
        """The analysis of a text, by its digest; None where it is not here, or damaged."""
        key = self._key(content)
        path = self._path(key)
        try:
            checksum, _, body = path.read_bytes().partition(b"\n")
            if checksum.decode("ascii") != _checksum(key, body):
                return None
            found = FileAnalysis.from_record(json.loads(body))
        except (OSError, ValueError, TypeError):
            return None
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - _DAY:
                os.utime(path)
        return found

    def put(self, content: str, found: FileAnalysis) -> None:
        """Keep an analysis. Where that fails, it will be made again."""
        key = self._key(content)
        path = self._path(key)
        body = json.dumps(found.record(), separators=(",", ":")).encode("ascii")
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # only the user can read it
            try:
                with open(descriptor, "wb") as file:
                    file.write(_checksum(key, body).encode("ascii") + b"\n" + body)
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
            self._has_written = True

    def prune(self) -> None:
        """Delete what was not used for a month; looks for it once a day at most, and only when entries were added."""
        marker = self._folder / "pruned"
        now = time.time()
        with suppress(OSError):
            if not self._has_written or (marker.exists() and marker.stat().st_mtime > now - _DAY):
                return
            marker.touch()
            for path in self._folder.glob("??/*"):
                if path.stat().st_mtime < now - _KEPT:
                    path.unlink()

    def _key(self, content: str) -> str:
        return hashlib.sha256(f"{self._salt}\n{content}".encode()).hexdigest()

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key[2:]


def _checksum(key: str, body: bytes) -> str:
    return hashlib.sha256(key.encode("ascii") + body).hexdigest()


def _versions() -> list[str]:
    """What decides about an analysis besides text and configuration."""
    ours = hashlib.sha256()
    for module in (analysis, definitions, source, symbols):
        with suppress(OSError):  # installed without its source: then the version has to do
            ours.update(Path(module.__file__ or "").read_bytes())
    return [sys.version, coverage.__version__, otel_coverage.__version__, ours.hexdigest()]


def _user_folder() -> Path | None:
    """The folder of the XDG base directory specification, which ignores paths that are not absolute."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base, "otel-coverage", "catalog") if os.path.isabs(base) else None


def _make_private(folder: Path) -> bool:
    """Whether the folder exists now, and nobody else can write to it."""
    try:
        for path in (folder.parent, folder):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
                return False
    except OSError:
        return False
    return True
