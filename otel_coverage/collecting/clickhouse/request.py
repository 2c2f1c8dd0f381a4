"""What a request carries besides its statement: credentials, query parameters, settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest

from werkzeug import Request

from otel_coverage.collecting.clickhouse import allowlist
from otel_coverage.collecting.clickhouse.exceptions import not_implemented
from otel_coverage.collecting.clickhouse.judge import check_setting

DEFAULT_USER = "default"

_PARAMETER = "param_"

# URL parameters that clients send to every server: read elsewhere, or ignored here
_IGNORED = frozenset(
    {
        "async_insert",
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "password",
        "query",
        "query_id",
        "quota_key",
        "readonly",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "user",
        "wait_end_of_query",
        "wait_for_async_insert",
    }
)
_SYSTEM_SETTINGS = re.compile(
    r"(?P<head>\s*SELECT\s+[\w\s,]+\sFROM\s+)system\.settings(?P<tail>(?:\s+LIMIT\s+\d+)?(?:\s+FORMAT\s+\w+)?[\s;]*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Access:
    """The only user of the endpoint.

    Attributes:
        user: the name.
        password: an empty one: the name is enough; None: the store's own secret, which the collector fills in.
    """

    user: str = DEFAULT_USER
    password: str | None = field(default=None, repr=False)

    def allows(self, request: Request) -> bool:
        """Whether a request has the credentials: in ``X-ClickHouse-*`` headers, basic auth or the URL."""
        basic = request.authorization
        if "X-ClickHouse-User" in request.headers or "X-ClickHouse-Key" in request.headers:
            user = request.headers.get("X-ClickHouse-User", DEFAULT_USER)
            password = request.headers.get("X-ClickHouse-Key", "")
        elif basic is not None and basic.type == "basic":
            user, password = basic.username or DEFAULT_USER, basic.password or ""
        else:
            user = request.args.get("user", DEFAULT_USER)
            password = request.args.get("password", "")
        if self.password is None:
            return False
        # compare both, each in constant time: the duration must not reveal which one is wrong
        known = compare_digest(user.encode(), self.user.encode())
        return compare_digest(password.encode(), self.password.encode()) and known


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """The URL parameters of a request, sorted by purpose.

    Attributes:
        parameters: query parameters by name, escaped as received.
        settings: ClickHouse settings for the statement.
        wait_end_of_query: whether the client wants errors before the first byte of the result.
    """

    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    wait_end_of_query: bool


def parse_options(arguments: Mapping[str, str]) -> RequestOptions:
    """Parse the parameters of a URL or a form.

    Raises:
        QueryError: one asks for an unsupported feature, or is a setting that may not be changed here.
    """
    parameters: dict[str, str] = {}
    settings: dict[str, str] = {}
    for name, value in arguments.items():
        if name.startswith(_PARAMETER):
            parameters[name.removeprefix(_PARAMETER)] = value
        elif name == "compress" and is_true(value):
            raise not_implemented("compress=1 is not supported: responses are not in ClickHouse's compressed format")
        elif name in _IGNORED or name == "compress":
            continue
        else:
            check_setting(name, value)
            settings[name] = value
    return RequestOptions(parameters, settings, is_true(arguments.get("wait_end_of_query", "")))


def is_true(value: str) -> bool:
    """Whether a boolean URL parameter is set."""
    return value not in ("", "0")


def mark_changeable_settings(sql: str) -> str:
    """A query of ``system.settings`` with ``readonly`` as this endpoint has it; any other statement unchanged.

    Clients read there which settings they may send. In read-only mode ClickHouse itself reports that none may be.

    Args:
        sql: as it was judged.
    """
    found = _SYSTEM_SETTINGS.fullmatch(sql)
    if found is None:
        return sql
    known = ", ".join(f"'{name}'" for name in sorted(_IGNORED | allowlist.SETTINGS.keys()))
    fixed = f"name NOT IN ({known})"
    return f"{found['head']}(SELECT * REPLACE (toUInt8({fixed}) AS readonly) FROM system.settings){found['tail']}"  # noqa: S608
