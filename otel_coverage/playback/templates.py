"""Placeholders in playback recordings, filled during playback.

``${name}`` is a captured value, ``${run}`` or ``${csrf}``; ``${env:NAME}`` an environment variable;
``${cookie:NAME}`` a cookie's value. ``$${name}`` is a literal ``${name}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

ENV, COOKIE = "env:", "cookie:"

_PLACEHOLDER = re.compile(rf"\$(?P<escape>\$)?\{{(?P<name>\w+|{ENV}\w+|{COOKIE}[^{{}}\s]+)\}}")


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """``value`` with its strings filled, at any depth. A string that is only a placeholder takes the value's type."""

    def fill_string(text: str) -> Any:
        whole = _PLACEHOLDER.fullmatch(text)
        if whole and not whole["escape"]:
            return values[whole["name"]]
        return fill_text(text, values)

    return _map_strings(value, fill_string)


def fill_text(text: str, values: Mapping[str, Any]) -> str:
    """A filled string."""
    return _PLACEHOLDER.sub(lambda found: _text(found, values), text)


def fill_path(path: str, values: Mapping[str, Any]) -> str:
    """A filled URL path; each value is percent-encoded, so that it stays one path segment."""
    return _PLACEHOLDER.sub(lambda found: _text(found, values, encode=True), path)


def escape(value: Any) -> Any:
    """``value`` with its placeholders escaped: :func:`fill` returns the original."""
    return _map_strings(value, lambda text: _PLACEHOLDER.sub(lambda found: "$" + found[0], text))


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a string in order, each with whether it is a placeholder or an escaped one."""
    end = 0
    for found in _PLACEHOLDER.finditer(text):
        if found.start() > end:
            yield text[end : found.start()], False
        yield found[0], True
        end = found.end()
    if end < len(text):
        yield text[end:], False


def names(value: Any) -> Iterator[str]:
    """The names of the placeholders in ``value``, ``env:`` and ``cookie:`` included."""
    found: list[str] = []

    def collect(text: str) -> str:
        found.extend(each["name"] for each in _PLACEHOLDER.finditer(text) if not each["escape"])
        return text

    _map_strings(value, collect)
    return iter(found)


def _text(found: re.Match[str], values: Mapping[str, Any], *, encode: bool = False) -> str:
    if found["escape"]:
        return found[0][1:]
    text = str(values[found["name"]])
    return quote(text, safe="") if encode else text


def _map_strings(value: Any, change: Callable[[str], Any]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _map_strings(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map_strings(item, change) for item in value]
    return value
