"""Folders of playback recordings: which profiles they are of, and which variables these need."""

from __future__ import annotations

from pathlib import Path

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback.loader import FILES, load


def profiles_at(path: Path) -> tuple[str, ...]:
    """The profiles of a playback recording, of a profile's folder, or of a folder with many of either; sorted.

    Raises:
        ConfigurationError: there is none, or one cannot be loaded.
    """
    return tuple(variables_at(path))


def variables_at(path: Path) -> dict[str, tuple[str, ...]]:
    """The same profiles, each with the environment variables that its playback needs; all sorted.

    Raises:
        ConfigurationError: there is none, or one cannot be loaded.
    """
    if path.is_dir() and not _is_profile(path):
        found = [each for each in sorted(path.iterdir()) if _is_profile(each) or each.suffix == ".jsonl"]
    else:
        found = [path]
    if not found:
        raise ConfigurationError(f"{path}: no playback recordings in this folder, nor in folders that it holds")
    variables: dict[str, set[str]] = {}
    for profile in map(load, found):
        variables.setdefault(profile.slug, set()).update(profile.variables())
    return {slug: tuple(sorted(names)) for slug, names in sorted(variables.items())}


def _is_profile(path: Path) -> bool:
    return any((path / name).is_file() for name in FILES)
