"""What else a request says beside its statement: parameters, settings that bound or shape its answer, a format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from otel_coverage.collecting.clickhouse.errors import bad_request, not_offered, read_only

_PARAMETER = "param_"

# clients send them to every server; here they have no effect, or are read elsewhere
_WITHOUT_EFFECT = frozenset(
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
_ALLOWED = re.compile(
    r"(?:max|input_format|output_format|date_time|format_csv|join|timeout_before|group_by|sort)_\w+"
    r"|extremes|final|limit|offset|session_timezone|result_overflow_mode|use_query_cache"
)

_LISTING = re.compile(
    r"(?P<head>\s*SELECT\s+[\w\s,]+\sFROM\s+)system\.settings(?P<tail>(?:\s+LIMIT\s+\d+)?(?:\s+FORMAT\s+\w+)?[\s;]*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """The part of a request that is not its statement.

    Attributes:
        parameters: of the statement, by name, escaped as they came.
        settings: the engine's, for this statement.
        in_blocks: whether the body is compressed in ClickHouse's own way.
        waits: whether an error should be known before the answer begins.
    """

    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    in_blocks: bool
    waits: bool


def what_is_said(arguments: Mapping[str, str]) -> Said:
    """Sort what a URL, or a form, says.

    Raises:
        EngineError: it asks for what this endpoint does not do, or sets what it may not set.
    """
    parameters: dict[str, str] = {}
    settings: dict[str, str] = {}
    for name, value in arguments.items():
        if name.startswith(_PARAMETER):
            parameters[name.removeprefix(_PARAMETER)] = value
        elif name == "compress" and value not in ("", "0"):
            raise not_offered("compress=1: answers come uncompressed")
        elif name in _WITHOUT_EFFECT or name == "compress":
            continue
        elif not name.isascii() or not name.isidentifier():
            raise bad_request(f"{name!r} is no setting")
        elif _ALLOWED.fullmatch(name) is None:
            raise read_only(f"Cannot modify {name!r} setting: it is none of those that bound or shape an answer")
        else:
            settings[name] = value
    return Said(
        parameters,
        settings,
        in_blocks=arguments.get("decompress", "0") not in ("", "0"),
        waits=arguments.get("wait_end_of_query", "0") not in ("", "0"),
    )


def listing(sql: str) -> str:
    """A statement that lists the settings, made to say which ones may be set here; any other as it is.

    Clients ask what they may set before they set it. The engine's own answer is: nothing, as it reads only.
    """
    found = _LISTING.fullmatch(sql)
    if found is None:
        return sql
    without_effect = ", ".join(f"'{name}'" for name in sorted(_WITHOUT_EFFECT))
    fixed = f"NOT match(name, '^(?:{_ALLOWED.pattern})$') AND name NOT IN ({without_effect})".replace("\\", "\\\\")
    return f"{found['head']}(SELECT * REPLACE (toUInt8({fixed}) AS readonly) FROM system.settings){found['tail']}"  # noqa: S608
