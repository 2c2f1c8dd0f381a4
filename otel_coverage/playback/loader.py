"""Loads playback recordings of either format, and checks them completely before anything is sent."""

from __future__ import annotations

from pathlib import Path

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import events, jsonl
from otel_coverage.playback.lines import read_lines
from otel_coverage.playback.profile import Profile

FILES = ("recording.jsonl", "capture/events.jsonl", "events.jsonl")
"""The files that are looked for in a profile's folder, in this order."""


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
    lines = read_lines(file)
    if not lines:
        raise ConfigurationError(f"{file}: not a playback recording: the file is empty")
    if "recording" in lines[0]:
        return jsonl.profile(file, lines)
    if "stage" in lines[0]:
        return events.profile(file, lines, job_status)
    raise lines[0].error('not a playback recording: expected the header {"recording": 1, …} or an event with "stage"')


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in FILES:
        if (path / name).is_file():
            return path / name
    raise ConfigurationError(f"{path}: no playback recording in this folder; looked for {', '.join(FILES)}")
