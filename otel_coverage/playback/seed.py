"""The files that a recorded form carried: kept beside the events, under ``capture/seed/uploads/<kind>/``.

The events say that a form was sent, but not what was in it. A kept file is called after the form's field
(``input_upload_landuse.tif``) and lies in a folder called after what it is (``landuse``); the endpoint's last part
(``build_landuse``, ``upload_sbs``) names one of the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from otel_coverage.playback.lines import Line
from otel_coverage.playback.profile import Upload

FIELD_PREFIX = "input_upload_"


def uploads(request: Line, path: str) -> tuple[Upload, ...]:
    """The files that the form of a recorded request carried.

    Raises:
        ConfigurationError: no kept file fits the request's endpoint.
    """
    folder = request.path.parent / "seed" / "uploads"
    words = _words(urlsplit(path).path.rstrip("/").rpartition("/")[2])
    fitting = [file for file in sorted(folder.rglob("*")) if file.is_file() and _fits(file, folder, words)]
    fields = [file for file in fitting if file.name.startswith(FIELD_PREFIX)] or fitting
    if not fields:
        raise request.wrong(f"it sends a form, and no file under {folder} is named after {'_'.join(words)!r}")
    return tuple(Upload(file.stem, file) for file in fields)


def _fits(file: Path, folder: Path, words: list[str]) -> bool:
    kind = file.relative_to(folder).parts[0]
    field = _words(file.stem.removeprefix(FIELD_PREFIX))
    return kind.lower() in words or _follow_each_other(field, words)


def _follow_each_other(wanted: list[str], words: list[str]) -> bool:
    starts: Iterable[int] = range(len(words) - len(wanted) + 1)
    return bool(wanted) and any(words[start : start + len(wanted)] == wanted for start in starts)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]
