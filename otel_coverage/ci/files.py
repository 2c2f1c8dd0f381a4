"""Files that are written from settings, in parts of which people may write, too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback.files import write_whole

State = Literal["written", "unchanged", "deleted"]

_WRITTEN_BY = "# Written by `otel-coverage ci github` from {origin}"
_MARK = re.compile(r"^# Written by `otel-coverage ci github`", re.MULTILINE)
_DIGEST = re.compile(r"^# Digest of all else: ([0-9a-f]{16})\n", re.MULTILINE)
_REGION = re.compile(r"(^[ ]*# keep: begin (\S+)\n)(.*?)(^[ ]*# keep: end[ ]*$)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a file.

    Attributes:
        path: the file.
        text: its new text; None where it is to be deleted.
        state: what that means.
    """

    path: Path
    text: str | None
    state: State


def plan(folder: Path, texts: Mapping[str, str], origin: str, *, force: bool = False) -> list[Change]:
    """What is to be done so that a folder has files of these texts; nothing is written yet.

    What stands between ``# keep: begin NAME`` and ``# keep: end`` of a file stays as it is. Files of an earlier call
    that are not among ``texts`` any more are deleted.

    Args:
        folder: that they are in.
        texts: name → text, with regions to keep.
        origin: what they are written from.
        force: replace files that somebody else wrote, or changed outside of the regions.

    Raises:
        ConfigurationError: a file would lose what somebody else wrote.
    """
    changes = []
    for name, text in sorted(texts.items()):
        path = folder / name
        before = _read(path)
        if before is not None and not force:
            _check_unchanged(path, before)
        after = _signed(_with_regions(text, before, path, force=force), origin)
        changes.append(Change(path, after, "unchanged" if after == before else "written"))
    for path in sorted(folder.glob("coverage-*.yml")):
        before = _read(path)
        if path.name in texts or before is None or not _MARK.search(before):
            continue
        if not force:
            _check_unchanged(path, before)
            if any(_regions(before).values()):
                raise ConfigurationError(
                    f"{path}: is not among what is to be written any more, and has lines that are to be kept: delete "
                    "it, or give --force"
                )
        changes.append(Change(path, None, "deleted"))
    return changes


def apply(changes: list[Change]) -> None:
    """Do what was planned.

    Raises:
        ConfigurationError: a file cannot be written.
    """
    for change in changes:
        if change.state == "written" and change.text is not None:
            try:
                change.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigurationError(f"{change.path.parent}: cannot be made: {error.strerror or error}") from error
            write_whole(change.path, change.text)
            change.path.chmod(0o644)  # it is committed
        elif change.state == "deleted":
            change.path.unlink(missing_ok=True)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error


def _check_unchanged(path: Path, text: str) -> None:
    found = _DIGEST.search(text)
    if not _MARK.search(text) or found is None:
        raise ConfigurationError(f"{path}: was not written by this command: rename it, or give --force to replace it")
    if found[1] != _digest(text):
        raise ConfigurationError(
            f"{path}: was changed outside of `# keep: begin` and `# keep: end`, and that would be lost: move the "
            "change there, or into the settings, or give --force to do without it"
        )


def _with_regions(text: str, before: str | None, path: Path, *, force: bool) -> str:
    kept = {} if before is None else _regions(before)
    lost = sorted(name for name, content in kept.items() if content and name not in _regions(text))
    if lost and not force:
        raise ConfigurationError(
            f"{path}: has lines to be kept in {', '.join(lost)}, and such a place does not exist any more: move them, "
            "or give --force to do without them"
        )
    return _REGION.sub(lambda found: found[1] + kept.get(found[2], found[3]) + found[4], text)


def _regions(text: str) -> dict[str, str]:
    return {name: content for _, name, content, _ in _REGION.findall(text)}


def _signed(text: str, origin: str) -> str:
    head = (
        f"{_WRITTEN_BY.format(origin=origin)}, which replaces\n"
        "# what it wrote. Between `# keep: begin` and `# keep: end` are your own lines, which stay.\n"
    )
    return f"{head}# Digest of all else: {_digest(head + text)}\n{text}"


def _digest(text: str) -> str:
    """Of a text without what is to be kept and without the digest itself."""
    bare = _DIGEST.sub("", _REGION.sub(r"\1\4", text))
    return hashlib.sha256(bare.encode()).hexdigest()[:16]
