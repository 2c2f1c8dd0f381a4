"""Which requests of a browser belong to the workflow, and which are left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from otel_coverage.playback.converting.exchange import Exchange

_FONT = re.compile(r"(?i)\.(?:woff2?|ttf|otf|eot)$")
_STATIC = re.compile(
    r"(?i)\.(?:css|m?js|map|png|jpe?g|gif|svg|webp|avif|ico|mp[34]|webm|ogg|wav|webmanifest)$|^/static/"
)
_STATIC_KINDS = {"stylesheet", "script", "image", "media", "texttrack", "manifest", "imageset"}
_STATIC_TYPES = ("text/css", "javascript", "image/", "video/", "audio/")
_ANALYTICS = re.compile(
    r"(?i)(?:^|\.)(?:google-analytics|googletagmanager|doubleclick|hotjar|segment|mixpanel|amplitude|matomo|plausible"
    r"|clarity|newrelic|nr-data|bugsnag|sentry|datadoghq|fullstory|heap|posthog|cloudflareinsights)\.[a-z.]+$"
)
_ANALYTICS_PATH = re.compile(r"(?i)/(?:matomo|piwik)\.(?:php|js)$|/(?:g|j|r)/collect$|/collect$|/envelope/$|/beacon$")


def _path(exchange: Exchange) -> str:
    return urlsplit(exchange.url).path


def _is_font(exchange: Exchange) -> bool:
    return exchange.kind == "font" or "font" in exchange.answer_type or bool(_FONT.search(_path(exchange)))


def _is_static(exchange: Exchange) -> bool:
    if exchange.method not in ("GET", "HEAD") or _is_font(exchange):
        return False
    is_of_type = any(each in exchange.answer_type for each in _STATIC_TYPES)
    return exchange.kind in _STATIC_KINDS or is_of_type or bool(_STATIC.search(_path(exchange)))


def _is_analytics(exchange: Exchange) -> bool:
    host = urlsplit(exchange.url).hostname or ""
    is_known = bool(_ANALYTICS.search(host) or _ANALYTICS_PATH.search(_path(exchange)))
    return exchange.kind in ("ping", "beacon", "cspviolationreport") or is_known


def _is_preflight(exchange: Exchange) -> bool:
    is_asked = exchange.method == "OPTIONS" and bool(exchange.header("access-control-request-method"))
    return exchange.kind == "preflight" or is_asked


def _is_unmodified(exchange: Exchange) -> bool:
    return exchange.status == 304


RULES: Mapping[str, tuple[str, Callable[[Exchange], bool]]] = {
    "analytics": ("analytics and beacons", _is_analytics),
    "fonts": ("fonts", _is_font),
    "static": ("style sheets, scripts, images and media", _is_static),
    "preflights": ("preflight requests of CORS", _is_preflight),
    "not-modified": ("answers 304, which the browser had already", _is_unmodified),
}
"""Rules that can be switched off, in the order in which they are tried: name → what it leaves out, and whether it does.

``hosts`` and ``polls`` (:class:`Rules`) are two more.
"""

NAMES = ("hosts", *RULES, "polls")


@dataclass(frozen=True, slots=True)
class Rules:
    """What is left out.

    Attributes:
        hosts: of the application, each ``host`` or ``host:port``.
        job_status: the path of the application's job status resource, with ``{job_id}`` in it; empty for none.
        kept: names of rules that leave nothing out.
        with_paths: globs of paths that are kept, whatever rules say of them.
        without_paths: globs of paths that are left out.
    """

    hosts: tuple[str, ...]
    job_status: str = ""
    kept: frozenset[str] = frozenset()
    with_paths: tuple[str, ...] = ()
    without_paths: tuple[str, ...] = ()

    def is_own(self, url: str) -> bool:
        """Whether a URL is of the application."""
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(
            {parts.netloc.rpartition("@")[2], parts.hostname} & {*self.hosts}
        )

    def reason(self, exchange: Exchange) -> str | None:
        """Why an exchange is left out, the name of a rule; None where it is kept."""
        path = _path(exchange)
        if not self.is_own(exchange.url):
            if any(rule(exchange) for name, (_, rule) in RULES.items() if name == "analytics"):
                return "analytics"
            return None if "hosts" in self.kept and exchange.url.startswith(("http://", "https://")) else "hosts"
        if exchange.status <= 0:
            return "unanswered"
        if exchange.status == 101 or exchange.kind in ("websocket", "eventsource"):
            return "streams"
        if exchange.answer_type.startswith("text/event-stream"):
            return "streams"
        if exchange.is_cached:
            return "cached"
        if any(fnmatchcase(path, glob) for glob in self.with_paths):
            return None
        if any(fnmatchcase(path, glob) for glob in self.without_paths):
            return "paths"
        for name, (_, rule) in RULES.items():
            if name not in self.kept and rule(exchange):
                return name
        if self.job_status and "polls" not in self.kept and exchange.method == "GET":
            pattern = re.escape(self.job_status).replace(r"\{job_id\}", "[^/]+")
            if re.fullmatch(pattern, path):
                return "polls"
        return None
