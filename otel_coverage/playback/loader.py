"""Loads playback recordings of either format, and checks them completely before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import events, jsonl
from otel_coverage.playback.lines import read_lines
from otel_coverage.playback.profile import Profile

FILES = ("recording.jsonl", "capture/events.jsonl", "events.jsonl")
"""The files that are looked for in a profile's folder, in this order."""


def load_all(paths: Iterable[Path], *, job_status: str = "") -> tuple[list[Profile], list[Path]]:
    """Load the playback recordings of different profiles.

    Args:
        paths: files, or profiles' folders.
        job_status: see :func:`load`.

    Returns:
        The profiles in the order of ``paths``, and the folders that hold no file at all: version control leaves such
        where a profile was deleted, and ``profiles/*`` names them.

    Raises:
        ConfigurationError: one cannot be loaded, two name the same profile, or there is none.
    """
    profiles: dict[str, Profile] = {}
    empty: list[Path] = []
    for path in paths:
        if path.is_dir() and not any(inner.is_file() for inner in path.rglob("*")):
            empty.append(path)
            continue
        profile = load(path, job_status=job_status)
        other = profiles.setdefault(profile.slug, profile)
        if other is not profile:
            raise ConfigurationError(
                f"{profile.origin}: names the profile {profile.slug}, as {other.origin} does; what they run could not "
                "be distinguished: give one of them a name of its own, or play it in a run of its own"
            )
    if not profiles:
        raise ConfigurationError(f"no playback recording: {', '.join(map(str, empty))} is empty")
    return list(profiles.values()), empty


def load(path: Path, *, job_status: str = "") -> Profile:
    """Load a playback recording.

    Args:
        path: the file, or a profile's folder.
        job_status: path of the application's job status resource, with ``{job_id}`` in it. Captured requests to it are
            not replayed: the replayed jobs have other ids.

    Raises:
        ConfigurationError: there is no such file, or a line of it is invalid.
    """
    file = _file(path)
    if _is_har(file):
        raise ConfigurationError(
            f"{file}: a HAR file is converted first: `otel-coverage playback convert {file}` makes a recording of it, "
            "which you can read and mend"
        )
    lines = read_lines(file)
    if not lines:
        raise ConfigurationError(f"{file}: not a playback recording: the file is empty")
    if "recording" in lines[0]:
        return jsonl.profile(file, lines)
    if "stage" in lines[0]:
        return events.profile(file, lines, job_status)
    raise lines[0].error('not a playback recording: expected the header {"recording": 1, …} or an event with "stage"')


def _is_har(file: Path) -> bool:
    if file.suffix.lower() == ".har":
        return file.is_file()
    try:
        with file.open("rb") as opened:
            return re.match(rb'(?:\xef\xbb\xbf)?\s*\{\s*"log"\s*:', opened.read(256)) is not None
    except OSError:
        return False


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in FILES:
        if (path / name).is_file():
            return path / name
    raise ConfigurationError(f"{path}: no playback recording in this folder; looked for {', '.join(FILES)}")
