"""The addresses of the served report: the page, its data, and the report's files."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from werkzeug import Request, Response
from werkzeug.wsgi import wrap_file

from otel_coverage.errors import NoCoverageError, OtelCoverageError
from otel_coverage.printable import printable
from otel_coverage.reporting.page.bundle import Bundle
from otel_coverage.reporting.serving.access import Access
from otel_coverage.reporting.serving.files import UnknownFileError, listed, media_type
from otel_coverage.reporting.serving.live import LiveReport
from otel_coverage.reporting.serving.shell import Shell

INDEX, STATUS, PAGE = "/index.json", "/status.json", "/page.json"

_METHODS = ("GET", "HEAD")
_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageApplication:
    """Answers whoever has the token of the address that was printed.

    Args:
        live: reads the store.
        access: who may read.
        bundle: the page's program; None in a checkout that did not build it.
    """

    def __init__(self, live: LiveReport, access: Access, bundle: Bundle | None) -> None:
        self._live = live
        self._access = access
        self._shell = Shell.of(bundle)

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        response = self._answer(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _answer(self, request: Request) -> Response:
        if request.method not in _METHODS:
            return Response("method not allowed; use GET or HEAD\n", 405, {"Allow": ", ".join(_METHODS)})
        if not self._access.allows(request):
            return Response(
                "Open the address that `otel-coverage` printed when it began to serve, with its token; programs send "
                "the token in a header: Authorization: Bearer TOKEN\n",
                401,
                {"WWW-Authenticate": "Bearer"},
            )
        if request.path == "/":
            response = Response(self._shell.text, mimetype="text/html")
            response.headers["Content-Security-Policy"] = self._shell.policy
            self._access.remember(response)
            return response
        if request.path == STATUS:
            return _json(self._live.status().document)
        if request.path == PAGE:
            page = self._live.page
            if page is None:
                return _json({"error": self._live.status().message}, 503)
            return _conditional(request, page.version, Response(page.body, mimetype="application/json"))
        if request.path == "/favicon.ico":
            return Response(status=204)
        try:
            if request.path == INDEX:
                return _json(self._index(self._live.profiles()))
            return self._file(request)
        except UnknownFileError as error:
            return _json({"error": printable(str(error)), **self._index([])}, 404)
        except NoCoverageError as error:
            return _json({"error": printable(str(error)), **self._index([])}, 404)
        except OtelCoverageError as error:
            return _json({"error": printable(str(error))}, 503)

    def _file(self, request: Request) -> Response:
        with self._live.file(request.path.removeprefix("/")) as path:
            digest = sha256()
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
            size, opened = path.stat().st_size, path.open("rb")  # to be read to its end, also when its name is gone
        response = Response(wrap_file(request.environ, opened), content_type=media_type(path), direct_passthrough=True)
        response.call_on_close(opened.close)
        response.content_length = size
        if path.suffix != ".json":
            response.headers.set("Content-Disposition", "attachment", filename=path.name)
        return _conditional(request, digest.hexdigest()[:32], response)

    def _index(self, profiles: list[str]) -> dict[str, Any]:
        return {
            "files": {each.url: each.holds for each in listed(self._live.request)},
            **({"profiles": profiles} if profiles else {}),
        }


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(document, indent=2) + "\n", status, mimetype="application/json")


def _conditional(request: Request, tag: str, response: Response) -> Response:
    """The response, without its body where the client has it."""
    response.set_etag(tag)
    if tag not in request.if_none_match:
        return response
    response.close()
    unchanged = Response(status=304)
    unchanged.set_etag(tag)
    return unchanged
