"""The engine's exceptions, and ours in its words: a code, a name, one text, and the status that clients expect."""

from __future__ import annotations

import re

_UNKNOWN_EXCEPTION = 1002
_CODE = re.compile(r"Code: (\d+)\.")

# as ClickHouse's own server answers them; 500 is every other code's
_STATUSES = {
    **dict.fromkeys((6, 25, 26, 27, 36, 37, 38, 41, 53, 62, 72, 117, 123, 167, 168, 223, 408), 400),
    516: 403,
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336), 404),
    159: 408,
    229: 413,
    48: 501,
    **dict.fromkeys((76, 209), 503),
}


class EngineError(Exception):
    """A request that the engine, or the endpoint in its place, refuses.

    Attributes:
        code: ClickHouse's number for it.
        text: ClickHouse's words: ``Code: 60. DB::Exception: … (UNKNOWN_TABLE)``.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def status(self) -> int:
        """The HTTP status."""
        return _STATUSES.get(self.code, 500)

    @classmethod
    def of(cls, error: Exception) -> EngineError:
        """What the engine raised, without what its binding says in front."""
        text = str(error)
        found = _CODE.search(text)
        if found is None:
            return cls(_UNKNOWN_EXCEPTION, f"Code: {_UNKNOWN_EXCEPTION}. DB::Exception: {text} (UNKNOWN_EXCEPTION)")
        return cls(int(found[1]), text[found.start() :].strip())


def _refusal(code: int, name: str, message: str) -> EngineError:
    return EngineError(code, f"Code: {code}. DB::Exception: {message}. ({name})")


def bad_request(message: str) -> EngineError:
    """The request itself makes no sense."""
    return _refusal(36, "BAD_ARGUMENTS", message)


def not_offered(message: str) -> EngineError:
    """A server would do it; this endpoint does not."""
    return _refusal(48, "NOT_IMPLEMENTED", message)


def too_large(message: str) -> EngineError:
    """More than the endpoint takes."""
    return _refusal(229, "QUERY_IS_TOO_LARGE", message)


def read_only(message: str) -> EngineError:
    """It would change something, or reach beyond the store."""
    return _refusal(164, "READONLY", message)


def not_admitted(user: str) -> EngineError:
    """Wrong user or password; which of the two is not told."""
    return _refusal(516, "AUTHENTICATION_FAILED", f"{user}: Authentication failed: no such user, or a wrong password")
