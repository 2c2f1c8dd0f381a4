"""Headers on their way through the proxy: the application sees its own origin, the browser that of the proxy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from otel_coverage.playback.proxy.target import Target

Pairs = Iterable[tuple[str, str]]

# RFC 9110, 7.6.1
_OF_ONE_CONNECTION = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
    *("transfer-encoding", "upgrade"),
}
_OF_WEBSOCKETS = ("sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions", "sec-websocket-protocol")
_DECODABLE = ("gzip", "deflate", "identity")
_WITH_ORIGINS = {
    *("access-control-allow-origin", "content-location", "content-security-policy", "link", "refresh"),
    "content-security-policy-report-only",
}
# they would have the browser leave the proxy
_DROPPED_FROM_ANSWERS = {"alt-svc", "strict-transport-security"}
_COOKIE_DOMAIN = re.compile(r"(?i);\s*domain=[^;]*")
_COOKIE_SECURE = re.compile(r"(?i);\s*(?:secure|samesite=none|partitioned)\s*(?=;|$)")
_COOKIE_PREFIXED = re.compile(r"(?i)__(?:host|secure)-")


def for_target(headers: Pairs, target: Target, own: str) -> Iterator[tuple[str, str]]:
    """Headers of a request as the application gets them.

    Args:
        headers: as they came from the browser.
        target: the application.
        own: the proxy's origin, as the browser knows it.
    """
    headers = list(headers)
    dropped = _hop_by_hop(headers) | {"host", "expect", *_OF_WEBSOCKETS}
    yield "Host", target.host
    for name, value in headers:
        key = name.lower()
        if key in dropped:
            continue
        if key in ("origin", "referer"):
            yield name, _with_origin(value, own, target.origin)
        elif key == "accept-encoding":
            # others could not be looked into
            yield name, ", ".join(filter(_is_decodable, map(str.strip, value.split(",")))) or "identity"
        else:
            yield name, value


def for_browser(headers: Pairs, target: Target, own: str, url: str) -> Iterator[tuple[str, str]]:
    """Headers of an answer as the browser gets them.

    Args:
        headers: as they came from the application.
        target: the application.
        own: the proxy's origin, as the browser knows it.
        url: of the request, at the application.
    """
    headers = list(headers)
    dropped = _hop_by_hop(headers) | _DROPPED_FROM_ANSWERS
    for name, value in headers:
        key = name.lower()
        if key in dropped:
            continue
        if key == "location" and "//" in value.partition("?")[0]:  # others are relative to the proxy, too
            path = target.own_path(value, url)
            yield name, value if path is None else own + path
        elif key == "set-cookie":
            yield name, _cookie(value)
        elif key in _WITH_ORIGINS:
            yield name, value.replace(target.origin, own)
        else:
            yield name, value


def _hop_by_hop(headers: Pairs) -> set[str]:
    named = {
        each.strip().lower() for name, value in headers if name.lower() == "connection" for each in value.split(",")
    }
    return _OF_ONE_CONNECTION | named


def _with_origin(value: str, before: str, after: str) -> str:
    is_of_it = value == before or value.startswith(f"{before}/")
    return after + value.removeprefix(before) if is_of_it else value


def _is_decodable(coding: str) -> bool:
    return coding.partition(";")[0].strip().lower() in _DECODABLE


def _cookie(value: str) -> str:
    """A cookie of the proxy's host, over plain HTTP. Browsers keep those of a prefixed name only with ``Secure``."""
    value = _COOKIE_DOMAIN.sub("", value)
    return value if _COOKIE_PREFIXED.match(value) else _COOKIE_SECURE.sub("", value)
