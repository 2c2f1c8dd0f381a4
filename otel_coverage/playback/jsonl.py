"""The format ``recording.jsonl``: a header, then a line for each request.

::

    {"recording": 1, "profile": "checkout", "about": "Buy tea."}
    {"method": "POST", "path": "/runs/${run}/orders", "json": {"tea": 1}, "capture": {"order": "/number"}}
    {"method": "GET", "path": "/runs/${run}/orders/${order}"}

``${run}`` is a new name for every playback. ``capture`` stores values of the response, found by JSON pointer, for later
requests. ``form`` has plain fields; ``files`` has a file for each field, relative to the folder of the recording.
``status`` is the expected status; the default is any below 400.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from otel_coverage.playback import templates
from otel_coverage.playback.lines import Line
from otel_coverage.playback.profile import NO_BODY, Profile, Step, Upload

VERSION = 1

_HEADER = {"recording", "profile", "about"}
_STEP = {"method", "path", "status", "json", "form", "files", "headers", "capture"}


def profile(file: Path, lines: Sequence[Line]) -> Profile:
    """Parse the lines of a file.

    Raises:
        ConfigurationError: a line is invalid.
    """
    header = lines[0]
    _check_keys(header, _HEADER)
    if header["recording"] != VERSION:
        raise header.error(f"version {header['recording']!r} of the format is not supported; expected {VERSION}")
    slug = header.check_slug(header.string("profile"), "the profile's name")
    known = {"run"}
    steps = []
    for line in lines[1:]:
        step = _step(line)
        for name in templates.names([step.path, step.json, step.form, step.headers]):
            if name not in known:
                raise line.error(f"${{{name}}} is not captured by an earlier request")
        known |= step.captures.keys()
        steps.append(step)
    if not steps:
        raise header.error("no request follows the header")
    return Profile(slug, file, tuple(steps))


def _step(line: Line) -> Step:
    _check_keys(line, _STEP)
    path, status = line.string("path"), line.get("status")
    if not path.startswith("/"):
        raise line.error(f"path {path!r} must start with '/'")
    if status is not None and not (isinstance(status, int) and 100 <= status <= 599):
        raise line.error(f"status must be an integer from 100 to 599, not {status!r}")
    uploads = tuple(_upload(line, field, name) for field, name in _strings(line, "files").items())
    form = _strings(line, "form")
    if "json" in line and (form or uploads):
        raise line.error("'json' cannot be combined with 'form' or 'files'")
    return Step(
        line=line.number,
        method=line.string("method").upper(),
        path=path,
        status=status,
        json=line.get("json", NO_BODY),
        form=form,
        uploads=uploads,
        headers=_strings(line, "headers"),
        captures=_strings(line, "capture"),
    )


def _upload(line: Line, field: str, name: str) -> Upload:
    path = line.path.parent / name
    if not path.is_file():
        raise line.error(f"no file {path} to upload as {field!r}")
    return Upload(field, path)


def _strings(line: Line, name: str) -> dict[str, str]:
    values = line.object(name)
    if not all(isinstance(value, str) for value in values.values()):
        raise line.error(f"every value of {name!r} must be a string")
    return values


def _check_keys(line: Line, known: set[str]) -> None:
    unknown = sorted(line.keys() - known)
    if unknown:
        raise line.error(f"unknown keys: {', '.join(unknown)}; expected {', '.join(sorted(known))}")
