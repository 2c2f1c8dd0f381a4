"""Reads HAR files (HTTP Archive 1.2), as browsers and Playwright save them, an entry at a time."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import ijson

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback.converting import multipart
from otel_coverage.playback.converting.exchange import KEPT_TEXT, Content, Exchange, Part, Source

_TEXTUAL = ("json", "html", "xml", "text/plain", "javascript")


def source(path: Path) -> Source:
    """A file as a source of exchanges; see :func:`read`."""
    return Source(str(path), read(path), "begin the HAR before the login")


def read(path: Path) -> Iterator[Exchange]:
    """The exchanges of a file, in the order of the file; never all of it in memory.

    Raises:
        ConfigurationError: it cannot be read, is not JSON, is cut off, or an entry is not as HAR says.
    """
    number = 0
    try:
        with path.open("rb") as file:
            if file.read(3) != b"\xef\xbb\xbf":
                file.seek(0)
            for number, entry in enumerate(ijson.items(file, "log.entries.item", use_float=True), 1):
                yield _exchange(path, number, entry)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}; name a HAR file") from error
    except (ijson.JSONError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        whole = f"after entry {number}, the last that is whole" if number else "before the first entry"
        raise ConfigurationError(
            f"{path}: not a HAR file, or not all of one: the JSON ends or breaks {whole} ({reason}); save it again"
        ) from error
    if not number:
        raise ConfigurationError(f"{path}: no requests; a HAR file has them in log.entries")


def _exchange(path: Path, number: int, entry: Any) -> Exchange:
    def error(message: str) -> ConfigurationError:
        return ConfigurationError(f"{path}: entry {number}: {message}")

    if not isinstance(entry, Mapping):
        raise error(f"a request and its response are expected, not {str(entry)[:40]!r}")
    request, response = entry.get("request"), entry.get("response")
    if not isinstance(request, Mapping) or not isinstance(response, Mapping):
        raise error("lacks its request or its response")
    url, method = request.get("url"), request.get("method")
    if not isinstance(url, str) or not isinstance(method, str) or not url or not method:
        raise error("request.method and request.url must be texts")
    status = response.get("status")
    if not isinstance(status, int | float):
        raise error(f"response.status must be a number, not {status!r}")
    try:
        began = datetime.fromisoformat(str(entry.get("startedDateTime")).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        began = 0.0
    content = _mapping(response.get("content"))
    answer_headers = _headers(response.get("headers"))
    answer_type = str(content.get("mimeType") or dict(answer_headers).get("content-type", "")).lower()
    posted = _mapping(request.get("postData"))
    headers = _headers(request.get("headers"))
    kind = str(posted.get("mimeType") or dict(headers).get("content-type", ""))
    text = _text(posted) if posted.get("text") is not None else None
    seconds = entry.get("time")
    return Exchange(
        number=number,
        method=method.upper(),
        url=url,
        headers=headers,
        type=kind,
        text=text,
        parts=_sent_parts(kind, text) or _listed_parts(posted.get("params")),
        status=int(status),
        answer_headers=answer_headers,
        answer_type=answer_type,
        answer=_text(content)[:KEPT_TEXT] if any(each in answer_type for each in _TEXTUAL) else "",
        began=began,
        seconds=max(float(seconds), 0.0) / 1000 if isinstance(seconds, int | float) else 0.0,
        kind=str(entry.get("_resourceType") or "").lower(),
        is_cached=bool(entry.get("_fromCache")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _headers(value: Any) -> list[tuple[str, str]]:
    found = [_mapping(each) for each in value] if isinstance(value, list) else []
    pairs = [(str(each.get("name") or "").lower(), str(each.get("value") or "")) for each in found]
    return [(name, text) for name, text in pairs if name and not name.startswith(":")]


def _sent_parts(kind: str, text: str | None) -> list[Part]:
    """The parts of a multipart body."""
    if not text or not kind.lower().startswith("multipart/form-data"):
        return []
    return [replace(part, content=_known(part.content)) for part in multipart.parts(kind, text.encode())]


def _listed_parts(value: Any) -> list[Part]:
    """What the HAR lists as the parameters of a form."""
    found = []
    for each in value if isinstance(value, list) else []:
        if _mapping(each).get("name") is None:
            continue
        text, file = str(each.get("value") or ""), each.get("fileName")
        if file is None:
            found.append(Part(str(each["name"]), text))
        else:
            kind = None if each.get("contentType") is None else str(each["contentType"])
            found.append(Part(str(each["name"]), "", str(file), kind, _known(text.encode())))
    return found


def _known(content: Content | None) -> Content | None:
    """What a HAR has of a file, which often is nothing, or a text with characters in place of its bytes."""
    return None if not content or "\ufffd".encode() in bytes(content) else content


def _text(content: Mapping[str, Any]) -> str:
    """A body; empty where its base64 is not valid."""
    text = content.get("text")
    if not isinstance(text, str):
        return ""
    if content.get("encoding") != "base64":
        return text
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""
