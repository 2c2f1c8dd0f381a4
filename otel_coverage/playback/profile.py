"""A profile as it is played, independent of the format of its playback recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NO_BODY: Any = object()
"""No JSON body, as opposed to the body ``null``."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form.

    Attributes:
        field: the form field.
        path: the file.
    """

    field: str
    path: Path


@dataclass(frozen=True, slots=True)
class Step:
    """A request and the expected response. Strings may contain placeholders (:mod:`otel_coverage.playback.templates`).

    Attributes:
        line: of the playback recording.
        method: in upper case.
        path: path and query, below the base URL.
        status: the expected status; None for any below 400.
        json: the JSON body, or :data:`NO_BODY`.
        form: plain fields of a form.
        uploads: files of a form.
        headers: additional headers.
        captures: name → JSON pointer of a value of the response, for later steps.
    """

    line: int
    method: str
    path: str
    status: int | None = None
    json: Any = NO_BODY
    form: Mapping[str, str] = field(default_factory=dict)
    uploads: tuple[Upload, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    captures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """A named, replayable workflow.

    Attributes:
        slug: its name.
        origin: the file of its playback recording.
        steps: in the order of playback.
        skipped: parts of the file that cannot be replayed, as messages.
    """

    slug: str
    origin: Path
    steps: tuple[Step, ...]
    skipped: tuple[str, ...] = ()
