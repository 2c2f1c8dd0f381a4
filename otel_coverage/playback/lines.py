"""JSON Lines files: one object a line; errors name the file and the line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otel_coverage.errors import ConfigurationError
from otel_coverage.slug import SLUG_RULE, is_slug


class Line(dict[str, Any]):
    """One object of a file.

    Attributes:
        path: the file.
        number: the line, from 1.
    """

    def __init__(self, values: dict[str, Any], path: Path, number: int) -> None:
        super().__init__(values)
        self.path = path
        self.number = number

    def error(self, message: str) -> ConfigurationError:
        """An error with the file and the line in front."""
        return ConfigurationError(f"{self.path}: line {self.number}: {message}")

    def string(self, name: str) -> str:
        """A required, non-empty string.

        Raises:
            ConfigurationError: it is missing, or something else.
        """
        if name not in self:
            raise self.error(f"{name!r} is missing")
        value = self[name]
        if not isinstance(value, str) or not value:
            raise self.error(f"{name!r} must be a non-empty string")
        return value

    def object(self, name: str) -> dict[str, Any]:
        """An optional object; empty if it is missing or null.

        Raises:
            ConfigurationError: it is something else.
        """
        value = self.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error(f"{name!r} must be a JSON object")
        return value

    def check_slug(self, slug: str, source: str) -> str:
        """``slug``, if it is valid.

        Args:
            slug: the name to check.
            source: what has this name, for the message.

        Raises:
            ConfigurationError: it is not a slug.
        """
        if not is_slug(slug):
            raise self.error(f"{source} {slug!r} is not a slug; use {SLUG_RULE}")
        return slug


def read_lines(path: Path) -> list[Line]:
    """All objects of a file. Blank lines are skipped but counted.

    Raises:
        ConfigurationError: the file cannot be read, is not UTF-8, or a line is not a JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror or error}; name a playback recording or the folder of a profile"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not a playback recording: not UTF-8 at byte {error.start}") from error
    return list(_objects(path, text))


def _objects(path: Path, text: str) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", None) or "nested too deeply"
            raise ConfigurationError(f"{path}: line {number}: not JSON: {reason}") from error
        if not isinstance(value, dict):
            raise ConfigurationError(f"{path}: line {number}: not a JSON object")
        yield Line(value, path, number)
