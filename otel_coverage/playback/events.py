"""The format ``capture/events.jsonl``: requests and responses as a browser extension or a proxy captured them.

Requests with a successful response are replayed, in the order of the responses. The captured run's name is replaced by
a new one. Forms are rebuilt from the files that were kept under ``capture/seed/uploads/<kind>/``: an event says that a
form was sent, but not its content. A kept file is named after the form's field (``input_upload_landuse.tif``), and its
folder after its kind (``landuse``); the last part of the endpoint (``build_landuse``, ``upload_sbs``) contains either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from otel_coverage.playback import templates
from otel_coverage.playback.lines import Line
from otel_coverage.playback.profile import NO_BODY, Profile, Step, Upload

FIELD_PREFIX = "input_upload_"

_RUN = re.compile(r"(?<![^/])runs/(?P<run>[^/]+)")


def profile(file: Path, lines: Sequence[Line], job_status: str) -> Profile:
    """Parse the lines of a file. The slug is the name of the folder that contains ``capture``.

    Raises:
        ConfigurationError: a line is invalid, or no request can be replayed.
    """
    slug = _slug(file, lines[0])
    requests = {_id(line): line for line in lines if line.get("stage") == "request"}
    run = next(filter(None, (_run_in(line.string("endpoint")) for line in requests.values())), None)
    polling = re.compile(re.escape(job_status).replace(r"\{job_id\}", "[^/]+")) if job_status else None
    steps, skipped = [], []
    for line in lines:
        if line.get("stage") != "response" or not _is_ok(line):
            continue
        request = requests.get(_id(line))
        if request is None:
            skipped.append(f"line {line.number}: a response without a request")
        elif polling is None or not polling.search(urlsplit(request.string("endpoint")).path):
            steps.append(_step(request, line, run))
    if not steps:
        raise lines[0].error("no request has a successful response, so there is nothing to replay")
    return Profile(slug, file, tuple(steps), tuple(skipped))


def _step(request: Line, response: Line, run: str | None) -> Step:
    meta = request.object("requestMeta")
    path = _path(request.string("endpoint"), run)
    uploads = _uploads(request, path) if meta.get("bodyType") == "form-data" else ()
    status = response.get("status")
    return Step(
        line=request.number,
        method=str(request.get("method") or "GET").upper(),
        path=path,
        status=status if isinstance(status, int) else None,
        json=_payload(request, meta) if not uploads else NO_BODY,
        uploads=uploads,
    )


def _slug(file: Path, first: Line) -> str:
    folder = file.resolve().parent
    name = folder.parent.name if folder.name == "capture" else folder.name
    return first.check_slug(name, "the name of the profile's folder")


def _id(line: Line) -> str:
    if line.get("id") is None:
        raise line.error("'id' is missing")
    return str(line["id"])


def _is_ok(response: Line) -> bool:
    ok, status = response.get("ok"), response.get("status")
    return bool(ok) if ok is not None else isinstance(status, int) and status < 400


def _run_in(endpoint: str) -> str | None:
    found = _RUN.search(urlsplit(endpoint).path)
    return found["run"] if found else None


def _path(endpoint: str, run: str | None) -> str:
    """Path and query of an endpoint, with ``${run}`` in place of the captured run's name."""
    parts = urlsplit(endpoint)
    path: str = templates.escape(parts.path if parts.path.startswith("/") else "/" + parts.path)
    if run is not None:
        path = re.sub(rf"(?<![^/])runs/{re.escape(templates.escape(run))}(?=/|$)", "runs/${run}", path)
    return path + ("?" + templates.escape(parts.query) if parts.query else "")


def _payload(request: Line, meta: dict[str, Any]) -> Any:
    text = meta.get("jsonPayload")
    if text is None:
        return NO_BODY
    try:
        return templates.escape(json.loads(text) if isinstance(text, str) else text)
    except (ValueError, RecursionError) as error:
        raise request.error(f"jsonPayload is not JSON: {error}") from error


def _uploads(request: Line, path: str) -> tuple[Upload, ...]:
    """The kept files of a captured form."""
    folder = request.path.parent / "seed" / "uploads"
    words = _words(urlsplit(path).path.rstrip("/").rpartition("/")[2])
    matching = [file for file in sorted(folder.rglob("*")) if file.is_file() and _matches(file, folder, words)]
    fields = [file for file in matching if file.name.startswith(FIELD_PREFIX)] or matching
    if not fields:
        raise request.error(f"the request sends a form, but no file under {folder} is named after {'_'.join(words)!r}")
    return tuple(Upload(file.stem, file) for file in fields)


def _matches(file: Path, folder: Path, words: list[str]) -> bool:
    kind = file.relative_to(folder).parts[0]
    return kind.lower() in words or _contains(words, _words(file.stem.removeprefix(FIELD_PREFIX)))


def _contains(words: list[str], part: list[str]) -> bool:
    """Whether ``part`` is a non-empty contiguous sublist of ``words``."""
    starts: Iterable[int] = range(len(words) - len(part) + 1)
    return bool(part) and any(words[start : start + len(part)] == part for start in starts)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]
