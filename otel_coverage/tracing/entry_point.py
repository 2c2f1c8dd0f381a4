"""What an entry span stands for: a route with its method, a job's function, a command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.util.types import AttributeValue

SYMBOL = "coverage.entry_point"
NAME = "coverage.entry_name"
KIND = "coverage.entry_kind"
ROUTE = "http.route"

KINDS = {"server": "request", "consumer": "job", "process": "command"}
"""The kind of an entry point, by the ``coverage.role`` of its entry spans."""

WEBSOCKET = "WEBSOCKET"
"""Stands for the method of a WebSocket connection, which has none."""

_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", WEBSOCKET})
_OTHER = "_OTHER"  # as OpenTelemetry's conventions have it: clients may send anything


class EntryPoint(NamedTuple):
    """What a hook knows of an entry that no instrumentation of OpenTelemetry's says.

    Attributes:
        name: of a job's function or of a command; empty where the span's attributes have it.
        symbol: of the view or job function; empty where it is not known.
        method: of a request.
        route: the whole template, prefixes of mounts included.
    """

    name: str = ""
    symbol: str = ""
    method: str = ""
    route: str = ""


Finder = Callable[[], EntryPoint | None]
"""Finds it as the entry span ends, when the framework has matched its route; None where it cannot be known."""


def attributes(role: str, span: ReadableSpan, found: EntryPoint | None) -> dict[str, AttributeValue]:
    """What stands on an entry span, and on its parts.

    Args:
        role: the entry span's ``coverage.role``.
        span: the entry span.
        found: what a hook knows.

    Returns:
        Nothing where an entry of that role has no entry point.
    """
    kind = KINDS.get(role)
    if kind is None:
        return {}
    found = found or EntryPoint()
    values: dict[str, AttributeValue] = {KIND: kind, NAME: found.name or _name(kind, span, found)}
    if found.symbol:
        values[SYMBOL] = found.symbol
    return values


def request_name(method: str, route: str) -> str:
    """The name of a route's entry point, ``GET /orders``; of what matches no route the method alone."""
    if not method or method not in _METHODS:
        method = method if route and method else _OTHER
    return f"{method} {route}" if route else method


def _name(kind: str, span: ReadableSpan, found: EntryPoint) -> str:
    known: Mapping[str, AttributeValue] = span.attributes or {}
    if kind != "request":
        return str(known.get("messaging.rq.function") or span.name.removeprefix("process "))
    route = found.route or str(known.get(ROUTE) or "")
    method = found.method or str(known.get("http.request.method") or known.get("http.method") or "")
    return request_name(method, route) if method or route else span.name
