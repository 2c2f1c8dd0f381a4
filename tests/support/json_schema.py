"""The part of JSON Schema (draft 2020-12) that the schemas of this package use; any other keyword is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
_ANNOTATIONS = {"$schema", "title", "description"}


def violations(value: Any, schema: Mapping[str, Any], at: str = "$") -> Iterator[str]:
    """What of a value is not as a schema says, each with its place."""
    for keyword, expected in schema.items():
        if keyword in _ANNOTATIONS:
            continue
        check = _CHECKS[keyword]
        yield from check(value, expected, schema, at)


def _type(value: Any, expected: str | list[str], schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if not any(_is(value, name) for name in ([expected] if isinstance(expected, str) else expected)):
        yield f"{at}: {value!r} is no {expected}"


def _is(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and not (name in ("integer", "number") and isinstance(value, bool))


def _properties(value: Any, expected: Mapping[str, Any], schema: Mapping[str, Any], at: str) -> Iterator[str]:
    for name, one in expected.items():
        if isinstance(value, dict) and name in value:
            yield from violations(value[name], one, f"{at}.{name}")


def _additional(value: Any, expected: bool, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    assert expected is False
    if isinstance(value, dict):
        yield from (f"{at}: unexpected {name!r}" for name in value if name not in schema["properties"])


def _required(value: Any, expected: list[str], schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{at}: lacks {name!r}" for name in expected if name not in value)


def _items(value: Any, expected: Mapping[str, Any], schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from violations(one, expected, f"{at}[{number}]")


def _said(at: str, value: Any, keyword: str, expected: object, holds: bool) -> Iterator[str]:
    if not holds:
        yield f"{at}: {value!r}: {keyword} {expected!r}"


_CHECKS: dict[str, Any] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "items": _items,
    "const": lambda value, expected, _, at: _said(at, value, "const", expected, value == expected),
    "enum": lambda value, expected, _, at: _said(at, value, "enum", expected, value in expected),
    "minimum": lambda value, expected, _, at: _said(at, value, "minimum", expected, value >= expected),
    "minLength": lambda value, expected, _, at: _said(at, value, "minLength", expected, len(value) >= expected),
    "maxLength": lambda value, expected, _, at: _said(at, value, "maxLength", expected, len(value) <= expected),
    "pattern": lambda value, expected, _, at: _said(at, value, "pattern", expected, bool(re.search(expected, value))),
}
