"""A profile as it is played: steps, whatever format they were recorded in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NO_BODY: Any = object()
"""Stands for the absence of a JSON body, which ``null`` is not."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form.

    Attributes:
        field: the form's field that carries it.
        path: where its content lies.
    """

    field: str
    path: Path


@dataclass(frozen=True, slots=True)
class Step:
    """One request, and the answer that is expected.

    Strings may hold places, ``${name}``, to be filled when the step is played (:mod:`otel_coverage.playback.places`).

    Attributes:
        line: where it stands in the recording.
        method: in capitals.
        path: below the base address, with its query.
        status: what must be answered; None for anything that is no error.
        json: body to send as JSON, or :data:`NO_BODY`.
        form: plain fields of a form.
        uploads: files of a form.
        headers: headers of the request.
        captures: name → JSON pointer of a value of the answer that later steps use.
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
        origin: the file that it was read from.
        steps: in the order in which they are played.
        left_out: what the recording holds and a replay cannot repeat, in words.
    """

    slug: str
    origin: Path
    steps: tuple[Step, ...]
    left_out: tuple[str, ...] = ()
