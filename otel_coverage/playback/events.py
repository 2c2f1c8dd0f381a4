"""The format ``capture/events.jsonl``: requests and responses as a browser's recorder saw them go by.

What was answered well is replayed, in the order of the answers. The recorded run's name is replaced by a fresh one, and
forms are made anew from the files under ``capture/seed/uploads/`` (:mod:`otel_coverage.playback.seed`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from otel_coverage.playback import places, seed
from otel_coverage.playback.lines import Line
from otel_coverage.playback.profile import NO_BODY, Profile, Step
from otel_coverage.slug import is_slug

_RUN = re.compile(r"(?<![^/])runs/(?P<run>[^/]+)")


def profile(file: Path, lines: Sequence[Line], job_status: str) -> Profile:
    """The profile that the events describe; its slug is the name of the folder that ``capture`` lies in.

    Raises:
        ConfigurationError: something in them cannot be played.
    """
    slug = _slug(file, lines[0])
    requests = {_id(line): line for line in lines if line.get("stage") == "request"}
    run = next(filter(None, (_run_in(line.text("endpoint")) for line in requests.values())), None)
    polled = re.compile(re.escape(job_status).replace(r"\{job_id\}", "[^/]+")) if job_status else None
    steps, left_out = [], []
    for line in lines:
        if line.get("stage") != "response" or not _is_ok(line):
            continue
        request = requests.get(_id(line))
        if request is None:
            left_out.append(f"line {line.number}: an answer without its request")
        elif polled is None or not polled.search(urlsplit(request.text("endpoint")).path):
            steps.append(_step(request, line, run))
    if not steps:
        raise lines[0].wrong("no request in this recording was answered well, so there is nothing to replay")
    return Profile(slug, file, tuple(steps), tuple(left_out))


def _step(request: Line, response: Line, run: str | None) -> Step:
    meta = request.table("requestMeta")
    path = _path(request.text("endpoint"), run)
    uploads = seed.uploads(request, path) if meta.get("bodyType") == "form-data" else ()
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
    slug = folder.parent.name if folder.name == "capture" else folder.name
    if not is_slug(slug):
        raise first.wrong(
            f"the profile's folder is called {slug!r}, which is no slug: "
            "lower-case letters, digits, '.', '_' and '-', 128 at most"
        )
    return slug


def _id(line: Line) -> str:
    if line.get("id") is None:
        raise line.wrong("'id' is missing")
    return str(line["id"])


def _is_ok(response: Line) -> bool:
    ok, status = response.get("ok"), response.get("status")
    return bool(ok) if ok is not None else isinstance(status, int) and status < 400


def _run_in(endpoint: str) -> str | None:
    found = _RUN.search(urlsplit(endpoint).path)
    return found["run"] if found else None


def _path(endpoint: str, run: str | None) -> str:
    """Path and query of the endpoint, with a place where the recorded run stood."""
    parts = urlsplit(endpoint)
    path: str = places.escaped(parts.path if parts.path.startswith("/") else "/" + parts.path)
    if run is not None:
        path = re.sub(rf"(?<![^/])runs/{re.escape(places.escaped(run))}(?=/|$)", "runs/${run}", path)
    return path + ("?" + places.escaped(parts.query) if parts.query else "")


def _payload(request: Line, meta: dict[str, Any]) -> Any:
    text = meta.get("jsonPayload")
    if text is None:
        return NO_BODY
    try:
        return places.escaped(json.loads(text) if isinstance(text, str) else text)
    except (ValueError, RecursionError) as error:
        raise request.wrong(f"its jsonPayload is not JSON: {error}") from error
