"""Placeholders ``${name}`` in playback recordings, filled during playback. ``$${name}`` is a literal ``${name}``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

_PLACEHOLDER = re.compile(r"\$(?P<escape>\$)?\{(?P<name>\w+)\}")


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """``value`` with its strings filled, at any depth. A string that is only a placeholder takes the value's type."""

    def fill_string(text: str) -> Any:
        whole = _PLACEHOLDER.fullmatch(text)
        if whole and not whole["escape"]:
            return values[whole["name"]]
        return _PLACEHOLDER.sub(lambda found: _text(found, values), text)

    return _map_strings(value, fill_string)


def fill_path(path: str, values: Mapping[str, Any]) -> str:
    """A filled URL path; each value is percent-encoded, so that it stays one path segment."""
    return _PLACEHOLDER.sub(lambda found: _text(found, values, encode=True), path)


def escape(value: Any) -> Any:
    """``value`` with its placeholders escaped: :func:`fill` returns the original."""
    return _map_strings(value, lambda text: _PLACEHOLDER.sub(lambda found: "$" + found[0], text))


def names(value: Any) -> Iterator[str]:
    """The names of the placeholders in ``value``."""
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
