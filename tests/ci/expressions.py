"""Expressions of GitHub Actions, as far as our workflows use them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(-?\d+(?:\.\d+)?)|([A-Za-z_][\w-]*)|(==|!=|&&|\|\||[!()\[\].,]))")
_WHOLE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)

Context = Mapping[str, Any]


def filled(text: str, context: Context) -> str:
    """Text in which each expression is replaced by its value."""
    return _WHOLE.sub(lambda found: _shown(evaluate(found[1], context)), text)


def value(text: str, context: Context) -> Any:
    """The value of a text that is one expression."""
    found = _WHOLE.fullmatch(text.strip())
    return evaluate(text if found is None else found[1], context)


def evaluate(expression: str, context: Context) -> Any:
    """The value of what stands between the braces."""
    return _Parser(expression, context).whole()


class _Parser:
    def __init__(self, text: str, context: Context) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._context = context
        place = 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            assert found is not None, f"{text!r}: what is at {place}?"
            kinds = zip(("text", "number", "name", "sign"), found.groups(), strict=True)
            self._tokens.append(next((kind, part) for kind, part in kinds if part is not None))
            place = found.end()

    def whole(self) -> Any:
        found = self._or()
        assert not self._tokens, f"what is {self._tokens}?"
        return found

    def _next(self, *signs: str) -> str | None:
        if self._tokens and self._tokens[0][0] == "sign" and self._tokens[0][1] in signs:
            return self._tokens.pop(0)[1]
        return None

    def _or(self) -> Any:
        found = self._and()
        while self._next("||"):
            other = self._and()
            found = found or other
        return found

    def _and(self) -> Any:
        found = self._comparison()
        while self._next("&&"):
            other = self._comparison()
            found = found and other
        return found

    def _comparison(self) -> Any:
        found = self._not()
        sign = self._next("==", "!=")
        if sign is None:
            return found
        is_equal = found == self._not()
        return is_equal if sign == "==" else not is_equal

    def _not(self) -> Any:
        return not self._not() if self._next("!") else self._path()

    def _path(self) -> Any:
        found = self._primary()
        while sign := self._next(".", "["):
            key = self._tokens.pop(0)[1] if sign == "." else self._or()
            if sign == "[":
                assert self._next("]")
            found = _member(found, key)
        return found

    def _primary(self) -> Any:
        if self._next("("):
            found = self._or()
            assert self._next(")")
            return found
        kind, part = self._tokens.pop(0)
        if kind == "text":
            return part[1:-1].replace("''", "'")
        if kind == "number":
            return float(part) if "." in part else int(part)
        if self._next("("):
            return self._call(part)
        return {"true": True, "false": False, "null": None}.get(part, self._context.get(part))

    def _call(self, name: str) -> Any:
        arguments = []
        while not self._next(")"):
            arguments.append(self._or())
            self._next(",")
        if name == "fromJSON":
            return json.loads(arguments[0])
        return self._context[f"{name}()"](*arguments)


def _member(found: Any, key: Any) -> Any:
    if isinstance(found, Mapping):
        return found.get(key, found.get(str(key)))
    if isinstance(found, Sequence) and isinstance(key, int) and key < len(found):
        return found[key]
    return None


def _shown(found: Any) -> str:
    if found is None:
        return ""
    return json.dumps(found) if isinstance(found, bool | dict | list) else str(found)
