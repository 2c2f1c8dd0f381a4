"""Places in a recording, ``${name}``, that are filled while it is played: ``$${name}`` is the text itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

_PLACE = re.compile(r"\$(?P<literal>\$)?\{(?P<name>\w+)\}")


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """``value`` with every place in its strings filled, however deep; a string that is one place keeps the type."""

    def fill(text: str) -> Any:
        whole = _PLACE.fullmatch(text)
        if whole and not whole["literal"]:
            return values[whole["name"]]
        return _PLACE.sub(lambda place: _text(place, values), text)

    return _each_string(value, fill)


def filled_path(path: str, values: Mapping[str, Any]) -> str:
    """A path with every place filled, each value quoted so that it stays one part of the path."""
    return _PLACE.sub(lambda place: _text(place, values, quoted=not place["literal"]), path)


def escaped(value: Any) -> Any:
    """``value`` so that :func:`filled` gives it back as it is."""
    return _each_string(value, lambda text: _PLACE.sub(lambda place: "$" + place[0], text))


def names(value: Any) -> Iterator[str]:
    """The places in the strings of ``value``."""
    found: list[str] = []

    def look(text: str) -> str:
        found.extend(place["name"] for place in _PLACE.finditer(text) if not place["literal"])
        return text

    _each_string(value, look)
    return iter(found)


def _text(place: re.Match[str], values: Mapping[str, Any], *, quoted: bool = False) -> str:
    if place["literal"]:
        return place[0][1:]
    text = str(values[place["name"]])
    return quote(text, safe="") if quoted else text


def _each_string(value: Any, change: Callable[[str], Any]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _each_string(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_each_string(item, change) for item in value]
    return value
