"""ClickHouse's exceptions over HTTP: a code, a name, a message, and the status that clients expect."""

from __future__ import annotations

import re

_UNKNOWN_EXCEPTION = 1002
_CODE = re.compile(r"Code: (\d+)\.")

# as ClickHouse's server maps them; all other codes are 500
_STATUSES = {
    **dict.fromkeys((6, 25, 26, 27, 36, 37, 38, 41, 53, 62, 72, 117, 123, 167, 168, 223, 408), 400),
    516: 403,
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336), 404),
    159: 408,
    229: 413,
    48: 501,
    **dict.fromkeys((76, 202, 209), 503),
}


class QueryError(Exception):
    """A request refused by ClickHouse, or by the endpoint with one of ClickHouse's codes.

    Attributes:
        code: ClickHouse's error code.
        text: ClickHouse's message: ``Code: 60. DB::Exception: … (UNKNOWN_TABLE)``.
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
    def from_chdb(cls, error: Exception) -> QueryError:
        """The error that chDB raised, without the prefix of its Python binding."""
        text = str(error)
        found = _CODE.search(text)
        if found is None:
            return cls(_UNKNOWN_EXCEPTION, f"Code: {_UNKNOWN_EXCEPTION}. DB::Exception: {text} (UNKNOWN_EXCEPTION)")
        return cls(int(found[1]), text[found.start() :].strip())


def _query_error(code: int, name: str, message: str) -> QueryError:
    return QueryError(code, f"Code: {code}. DB::Exception: {message}. ({name})")


def bad_arguments(message: str) -> QueryError:
    """BAD_ARGUMENTS: the request is malformed."""
    return _query_error(36, "BAD_ARGUMENTS", message)


def not_implemented(message: str) -> QueryError:
    """NOT_IMPLEMENTED: a ClickHouse server supports it and this endpoint does not."""
    return _query_error(48, "NOT_IMPLEMENTED", message)


def too_large(message: str) -> QueryError:
    """QUERY_IS_TOO_LARGE: the statement or the body is over the endpoint's limit."""
    return _query_error(229, "QUERY_IS_TOO_LARGE", message)


def too_busy(message: str) -> QueryError:
    """TOO_MANY_SIMULTANEOUS_QUERIES: clients retry it."""
    return _query_error(202, "TOO_MANY_SIMULTANEOUS_QUERIES", message)


def too_many_queries(count: int) -> QueryError:
    """As :func:`too_busy`, for queries."""
    return too_busy(f"{count} queries are running already; retry later")


def read_only(message: str) -> QueryError:
    """READONLY: the statement would change something or access files."""
    return _query_error(164, "READONLY", message)


def authentication_failed(user: str) -> QueryError:
    """AUTHENTICATION_FAILED: no such user or a wrong password, without saying which."""
    return _query_error(516, "AUTHENTICATION_FAILED", f"{user}: Authentication failed: no such user, or wrong password")


def unknown_database(name: str, database: str) -> QueryError:
    """UNKNOWN_DATABASE: a database that is not the store's."""
    return _query_error(81, "UNKNOWN_DATABASE", f"Database {name!r} is not served here; the store's is {database!r}")
