"""Recordings of any format that we know, read and checked as a whole before anything is sent."""

from __future__ import annotations

from pathlib import Path

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import events, own_format
from otel_coverage.playback.lines import read_lines
from otel_coverage.playback.profile import Profile

FILES = ("recording.jsonl", "capture/events.jsonl", "events.jsonl")
"""What a profile's folder is searched for, in this order."""


def read(path: Path, *, job_status: str = "") -> Profile:
    """Read a recording, or the one in a profile's folder.

    Args:
        path: the file or the folder.
        job_status: path at which the application tells a job's status, with ``{job_id}`` in it: a recorded question
            about a job is not repeated, since the replayed jobs have other ids.

    Raises:
        ConfigurationError: there is none, or something in it cannot be played; it says which line.
    """
    file = _file(path)
    lines = read_lines(file)
    if not lines:
        raise ConfigurationError(f"{file}: not a recording: it is empty")
    if "recording" in lines[0]:
        return own_format.profile(file, lines)
    if "stage" in lines[0]:
        return events.profile(file, lines, job_status)
    raise lines[0].wrong("not a recording: neither a header ('recording': 1) nor a captured event ('stage')")


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in FILES:
        if (path / name).is_file():
            return path / name
    raise ConfigurationError(f"{path}: no recording in this folder; looked for {', '.join(FILES)}")
