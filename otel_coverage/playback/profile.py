"""A profile as it is played, independent of the format of its playback recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otel_coverage.playback import templates
from otel_coverage.playback.captures import Capture

NO_BODY: Any = object()
"""No JSON body, as opposed to the body ``null``."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form.

    Attributes:
        field: the form field.
        path: the file; None for a field in which no file was chosen.
        name: the file's name as it is sent; its own by default.
        type: its media type; by default guessed from the name.
    """

    field: str
    path: Path | None
    name: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A request and the expected response. Strings may contain placeholders (:mod:`otel_coverage.playback.templates`).

    Attributes:
        line: of the playback recording.
        method: in upper case.
        path: path and query, below the base URL.
        status: the expected status of the first answer; None for any below 400.
        redirect: the path that the first answer redirects to, ``*`` for any one segment; None for any.
        follow: whether redirects are followed.
        json: the JSON body, or :data:`NO_BODY`.
        form: plain fields of a form; several values for a field that is sent several times.
        multipart: whether the form is sent as multipart/form-data although it has no files.
        uploads: files of a form.
        body: any other body; a file is sent as it is, a text may contain placeholders.
        headers: additional headers.
        captures: name → value of the answer, for later steps.
        think: seconds that the user took before this step.
        timeout: seconds that the server may be silent; None for the player's.
    """

    line: int
    method: str
    path: str
    status: int | None = None
    redirect: str | None = None
    follow: bool = True
    json: Any = NO_BODY
    form: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    multipart: bool = False
    uploads: tuple[Upload, ...] = ()
    body: str | Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    captures: Mapping[str, Capture] = field(default_factory=dict)
    think: float = 0.0
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A named, replayable workflow.

    Attributes:
        slug: its name.
        origin: the file of its playback recording.
        steps: in the order of playback.
        skipped: parts of the file that cannot be replayed, as messages.
        hosts: where the application was when it was recorded, each ``host`` or ``host:port``; what it redirects to
            there is asked for below the base URL.
        headers: of all steps.
        cookies: that the client has from the start.
    """

    slug: str
    origin: Path
    steps: tuple[Step, ...]
    skipped: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)

    def variables(self) -> tuple[str, ...]:
        """The environment variables that the profile needs, sorted."""
        texts: list[Any] = [self.headers, self.cookies]
        for step in self.steps:
            texts += [step.path, step.json, step.form, step.headers, step.redirect or ""]
            texts.append(step.body if isinstance(step.body, str) else "")
        names = {name for name in templates.names(texts) if name.startswith(templates.ENV)}
        return tuple(sorted(name.removeprefix(templates.ENV) for name in names))
