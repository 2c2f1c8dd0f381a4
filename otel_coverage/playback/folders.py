"""Folders of playback recordings, and which profiles they are of."""

from __future__ import annotations

from pathlib import Path

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback.loader import FILES, load


def profiles_at(path: Path) -> tuple[str, ...]:
    """The profiles of a playback recording, of a profile's folder, or of a folder with many of either; sorted.

    Raises:
        ConfigurationError: there is none, or one cannot be loaded.
    """
    if path.is_dir() and not _is_profile(path):
        found = [each for each in sorted(path.iterdir()) if _is_profile(each) or each.suffix == ".jsonl"]
    else:
        found = [path]
    if not found:
        raise ConfigurationError(f"{path}: no playback recordings in this folder, nor in folders that it holds")
    return tuple(sorted({load(each).slug for each in found}))


def _is_profile(path: Path) -> bool:
    return any((path / name).is_file() for name in FILES)
