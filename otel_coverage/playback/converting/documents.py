"""JSON that was sent or answered, as far as it can be walked through."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

_DEEPEST = 100


def parse_json(text: str) -> Any:
    """A JSON document.

    Raises:
        ValueError: it is not JSON, or nested more than a hundred levels deep.
    """
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    level: list[Any] = [document]
    for _ in range(_DEEPEST):
        level = [each for value in level for each in _inside(value)]
        if not level:
            return document
    raise ValueError("nested too deeply")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
