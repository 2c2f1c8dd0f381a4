"""HAR files written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SHOP = "https://shop.example"
PAGE = "text/html; charset=utf-8"


def entry(
    method: str,
    path: str,
    status: int = 200,
    *,
    headers: dict[str, str] | None = None,
    sent: tuple[str, str] | None = None,
    answer: str = "",
    mime: str = PAGE,
    answer_headers: dict[str, str] | None = None,
    at: float = 0.0,
    **more: Any,
) -> dict[str, Any]:
    """An entry: a request to the shop, or to a whole URL, and its answer; ``sent`` is media type and text."""
    request: dict[str, Any] = {
        "method": method,
        "url": path if "://" in path else SHOP + path,
        "headers": [{"name": name, "value": value} for name, value in (headers or {}).items()],
    }
    if sent is not None:
        request["postData"] = {"mimeType": sent[0], "text": sent[1]}
    return {
        "startedDateTime": f"2026-11-26T10:{int(at) // 60:02}:{at % 60:06.3f}Z",
        "time": 10,
        "request": request,
        "response": {
            "status": status,
            "headers": [{"name": name, "value": value} for name, value in (answer_headers or {}).items()],
            "content": {"mimeType": mime, "text": answer},
        },
        **more,
    }


def posted(path: str, fields: str, status: int = 200, **more: Any) -> dict[str, Any]:
    """An entry of a form."""
    return entry("POST", path, status, sent=("application/x-www-form-urlencoded", fields), **more)


def api(method: str, path: str, body: Any = None, answer: Any = None, status: int = 200, **more: Any) -> dict[str, Any]:
    """An entry of JSON."""
    sent = None if body is None else ("application/json", json.dumps(body))
    return entry(method, path, status, sent=sent, answer=json.dumps(answer), mime="application/json", **more)


def write(path: Path, *entries: dict[str, Any]) -> Path:
    """A HAR file of these entries, the first page of the shop before them."""
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": [entry("GET", "/"), *entries]}}), encoding="utf-8")
    return path
