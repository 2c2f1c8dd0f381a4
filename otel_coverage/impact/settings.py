"""``[tool.otel_coverage.impacted]`` of ``pyproject.toml``: which files concern which profiles."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from otel_coverage.errors import ConfigurationError
from otel_coverage.suggestions import suggestion

TABLE = "tool.otel_coverage.impacted"
ALL, NONE = "all", "none"

_EXAMPLE = '"shop/templates/**" = "all" or ["checkout", "order-*"]'


@dataclass(frozen=True, slots=True)
class ImpactSettings:
    """What the project says of its files.

    Attributes:
        profiles: the folder of playback recordings, below the settings' folder; a file below its ``SLUG`` concerns
            that profile alone.
        files: by glob, the profiles that its files concern: ``all``, ``none``, or names and patterns of profiles.
        origin: the file that says so, for messages.
    """

    profiles: str = "profiles"
    files: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    origin: str = "pyproject.toml"

    @classmethod
    def load(cls, folder: Path) -> ImpactSettings:
        """Those of ``pyproject.toml`` in a folder; the defaults where it says nothing.

        Raises:
            ConfigurationError: it says something that is not valid; the message says where.
        """
        path = folder / "pyproject.toml"
        table = _table(path)
        where = f"{path}: [{TABLE}]"
        for name in table:
            if name not in ("profiles", "files"):
                raise ConfigurationError(f"{where}: no setting {name!r}; {suggestion(name, ('profiles', 'files'))}")
        profiles = table.get("profiles", "profiles")
        if not isinstance(profiles, str):
            raise ConfigurationError(f"{where}: profiles is {profiles!r}, expected the folder of playback recordings")
        files = table.get("files", {})
        if not isinstance(files, dict):
            raise ConfigurationError(f"{where}: files is {files!r}, expected a table with lines such as {_EXAMPLE}")
        checked = {glob: _value(value, f"{path}: [{TABLE}.files]: {glob!r}") for glob, value in files.items()}
        for glob in checked:
            if not glob.strip("/"):
                raise ConfigurationError(
                    f"{path}: [{TABLE}.files]: {glob!r} is not a glob; expected a line such as {_EXAMPLE}"
                )
        return cls(profiles, checked, str(path))

    def of(self, path: str) -> list[tuple[str, str | tuple[str, ...]]]:
        """Each glob that a file matches, with what it says; in their order.

        Args:
            path: below the settings' folder, with ``/``.
        """
        return [(glob, value) for glob, value in self.files.items() if _expression(glob).fullmatch(path)]


def _table(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    if "otel_coverage" not in text:
        return {}
    found: Any = toml(text, path)
    for name in TABLE.split("."):
        found = found.get(name, {}) if isinstance(found, dict) else found
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path}: {TABLE} is {found!r}, expected a table [{TABLE}]")
    return found


def toml(text: str, path: Path) -> dict[str, Any]:
    """A TOML document.

    Raises:
        ConfigurationError: it is not one.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from error


def _value(value: object, where: str) -> str | tuple[str, ...]:
    if isinstance(value, str):
        if value in (ALL, NONE):
            return value
        near = suggestion(value, (ALL, NONE))
        raise ConfigurationError(f'{where} is {value!r}, expected "all", "none" or a list of profiles; {near}')
    if isinstance(value, list) and value and all(isinstance(each, str) and each for each in value):
        return tuple(value)
    raise ConfigurationError(f'{where} is {value!r}, expected "all", "none" or a list of profiles')


@cache
def _expression(glob: str) -> re.Pattern[str]:
    """What a glob matches: ``*`` and ``?`` within a name, ``**`` any folders; without ``/`` a name in any folder."""
    text = glob.strip("/") if "/" in glob.rstrip("/") else f"**/{glob.strip('/')}"
    if glob.endswith("/"):
        text += "/**"
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = (wild.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*\*|\*|\?)", text))
    return re.compile("".join(parts), re.DOTALL)
