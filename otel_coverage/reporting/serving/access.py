"""Who may read the served report: whoever has the token, and the browser that was opened with it."""

from __future__ import annotations

import secrets
from hmac import compare_digest

from werkzeug import Request, Response


class Access:
    """A token for the address and for programs, and a cookie for the browser; both end with the process.

    Args:
        port: where the report is served: browsers send cookies to all ports of a host, so the cookie is named by it.

    Attributes:
        token: what the address that is printed has.
    """

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)  # another one: servers on other ports of the host are sent it
        self._name = f"otel-coverage-{port}"

    def allows(self, request: Request) -> bool:
        """Whether a request has the cookie, or the token: in a header or, of the page itself, in the address."""
        given = request.authorization
        bearer = given.token if given is not None and given.type == "bearer" else None
        in_url = request.args.get("token") if request.path == "/" else None
        return (
            _same(request.cookies.get(self._name), self._cookie)
            or _same(bearer, self.token)
            or _same(in_url, self.token)
        )

    def remember(self, response: Response) -> None:
        """Give the browser the cookie."""
        response.set_cookie(self._name, self._cookie, path="/", httponly=True, samesite="Strict")


def _same(given: str | None, expected: str) -> bool:
    return given is not None and compare_digest(given.encode("utf-8", "replace"), expected.encode())
