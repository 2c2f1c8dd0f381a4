"""Hooks around every request."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask, Response, g, request

from shop import database
from shop.errors import InvalidError, NotFoundError

RUN = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def install(app: Flask) -> None:
    """Register the hooks."""
    app.url_value_preprocessor(take_run)
    app.before_request(check_run)
    app.before_request(check_body)
    app.after_request(add_headers)
    app.teardown_appcontext(database.close)


def take_run(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Move the run from the URL to ``g``."""
    g.run = (values or {}).pop("run", None)


def check_run() -> None:
    """Reject a URL with an invalid or unknown run."""
    if g.run is None:
        return
    if RUN.fullmatch(g.run) is None:
        raise InvalidError(f"not a run: {g.run!r}")
    if request.endpoint != "front.open_run":
        _require_opened(g.run)


def check_body() -> None:
    """Reject a body that is neither JSON nor a form."""
    if request.method in ("POST", "PATCH") and not (request.is_json or request.mimetype == "multipart/form-data"):
        raise InvalidError("send JSON or a form")


def add_headers(response: Response) -> Response:
    """Disable caching."""
    response.headers["Cache-Control"] = "no-store"
    return response


def _require_opened(run: str) -> None:
    row = database.of_request().execute("SELECT 1 FROM runs WHERE run = ?", (run,)).fetchone()
    if row is None:
        raise NotFoundError(f"no run {run!r}")
