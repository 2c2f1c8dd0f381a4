"""Our own format: a header, then a line for each request.

::

    {"recording": 1, "profile": "checkout", "about": "Buy tea."}
    {"method": "POST", "path": "/runs/${run}/orders", "json": {"tea": 1}, "capture": {"order": "/number"}}
    {"method": "GET", "path": "/runs/${run}/orders/${order}"}

``${run}`` is a name that no run had before, ``capture`` takes values out of an answer by JSON pointer. ``form`` holds
plain fields and ``files`` a file's path, from the recording's folder, for each field. ``status`` is what must be
answered; without it anything below 400 will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from otel_coverage.playback import places
from otel_coverage.playback.lines import Line
from otel_coverage.playback.profile import NO_BODY, Profile, Step, Upload
from otel_coverage.slug import is_slug

_HEADER = {"recording", "profile", "about"}
_STEP = {"method", "path", "status", "json", "form", "files", "headers", "capture"}


def profile(file: Path, lines: Sequence[Line]) -> Profile:
    """The profile that the lines describe.

    Raises:
        ConfigurationError: something in them cannot be played.
    """
    header = lines[0]
    _no_others(header, _HEADER)
    if header["recording"] != 1:
        raise header.wrong(f"version {header['recording']!r} of the format is not known here; 1 is")
    slug = header.text("profile")
    if not is_slug(slug):
        raise header.wrong(f"{slug!r} is no slug: lower-case letters, digits, '.', '_' and '-', 128 at most")
    known = {"run"}
    steps = []
    for line in lines[1:]:
        step = _step(line)
        for name in places.names([step.path, step.json, step.form, step.headers]):
            if name not in known:
                raise line.wrong(f"${{{name}}} is not captured by any request before")
        known |= step.captures.keys()
        steps.append(step)
    if not steps:
        raise header.wrong("the recording holds no request")
    return Profile(slug, file, tuple(steps))


def _step(line: Line) -> Step:
    _no_others(line, _STEP)
    path, status = line.text("path"), line.get("status")
    if not path.startswith("/"):
        raise line.wrong(f"path {path!r} does not begin with '/'")
    if status is not None and not (isinstance(status, int) and 100 <= status <= 599):
        raise line.wrong(f"status {status!r} is none")
    uploads = tuple(_upload(line, field, name) for field, name in _texts(line, "files").items())
    form = _texts(line, "form")
    if "json" in line and (form or uploads):
        raise line.wrong("a request has either 'json' or 'form' and 'files'")
    return Step(
        line=line.number,
        method=line.text("method").upper(),
        path=path,
        status=status,
        json=line.get("json", NO_BODY),
        form=form,
        uploads=uploads,
        headers=_texts(line, "headers"),
        captures=_texts(line, "capture"),
    )


def _upload(line: Line, field: str, name: str) -> Upload:
    path = line.path.parent / name
    if not path.is_file():
        raise line.wrong(f"no file {path} to upload as {field!r}")
    return Upload(field, path)


def _texts(line: Line, name: str) -> dict[str, str]:
    values: dict[str, Any] = line.table(name)
    if not all(isinstance(value, str) for value in values.values()):
        raise line.wrong(f"the values of {name!r} are not all text")
    return values


def _no_others(line: Line, known: set[str]) -> None:
    unknown = sorted(line.keys() - known)
    if unknown:
        raise line.wrong(f"unknown: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
