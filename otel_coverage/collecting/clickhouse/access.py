"""Who may ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from hmac import compare_digest

from werkzeug import Request

DEFAULT_USER = "default"


@dataclass(frozen=True, slots=True)
class Access:
    """The one user that the endpoint knows; without a password whoever reaches it is let in by name alone."""

    user: str = DEFAULT_USER
    password: str = field(default="", repr=False)

    def admits(self, request: Request) -> bool:
        """Whether the request names that user and password, in any of the three places that clients put them."""
        basic = request.authorization
        if "X-ClickHouse-User" in request.headers or "X-ClickHouse-Key" in request.headers:
            user = request.headers.get("X-ClickHouse-User", DEFAULT_USER)
            password = request.headers.get("X-ClickHouse-Key", "")
        elif basic is not None and basic.type == "basic":
            user, password = basic.username or DEFAULT_USER, basic.password or ""
        else:
            user = request.args.get("user", DEFAULT_USER)
            password = request.args.get("password", "")
        # both are compared, and whole, so that the time it takes tells nothing
        known = compare_digest(user.encode(), self.user.encode())
        return compare_digest(password.encode(), self.password.encode()) and known
