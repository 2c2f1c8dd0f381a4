"""JSON lines: one object a line, every complaint with the line that it is about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otel_coverage.errors import ConfigurationError


class Line(dict[str, Any]):
    """One object of a file, that knows where it stood."""

    def __init__(self, values: dict[str, Any], path: Path, number: int) -> None:
        super().__init__(values)
        self.path = path
        self.number = number

    def wrong(self, what: str) -> ConfigurationError:
        """An error about this line."""
        return ConfigurationError(f"{self.path}: line {self.number}: {what}")

    def text(self, name: str) -> str:
        """A string that has to be there.

        Raises:
            ConfigurationError: it is not, or is something else.
        """
        value = self.get(name)
        if not isinstance(value, str) or not value:
            raise self.wrong(f"{name!r} is missing or no text")
        return value

    def table(self, name: str) -> dict[str, Any]:
        """An object, empty where there is none.

        Raises:
            ConfigurationError: it is something else.
        """
        value = self.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(f"{name!r} is no JSON object")
        return value


def read_lines(path: Path) -> list[Line]:
    """All objects of a file; empty lines count, but hold none.

    Raises:
        ConfigurationError: the file cannot be read, is not UTF-8, or a line is no JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror or error}; name a recording or its profile's folder"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not a recording: not UTF-8 at byte {error.start}") from error
    return list(_objects(path, text))


def _objects(path: Path, text: str) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", None) or "nested too deeply"
            raise ConfigurationError(f"{path}: not JSON at line {number}: {reason}") from error
        if not isinstance(value, dict):
            raise ConfigurationError(f"{path}: line {number} is no JSON object; a recording has one on each line")
        yield Line(value, path, number)
