"""``docker-compose.yml`` and what may lie on top of it, read as Compose reads them, as far as these files go."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\})")


class MissingVariableError(Exception):
    """A required variable has no value."""


class _Loader(yaml.SafeLoader):
    """Knows the tags with which a file on top says that something replaces what is below, or removes it."""


def _plain(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    return loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else None


_Loader.add_constructor("!override", _plain)
_Loader.add_constructor("!reset", _plain)


def read(name: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """A Compose file of this repository with its variables' values.

    Raises:
        MissingVariableError: one that is required is not among them, or is empty.
    """
    # nosec: a SafeLoader with two more tags
    document: dict[str, Any] = yaml.load((ROOT / name).read_text(), _Loader)
    interpolated: dict[str, Any] = _interpolated(document, variables)
    return interpolated


def required(name: str) -> set[str]:
    """The variables that a file cannot do without."""
    found = _VARIABLE.finditer((ROOT / name).read_text())
    return {each["name"] for each in found if each["kind"] == "?"}


def command(service: Mapping[str, Any]) -> list[str]:
    """The arguments of a service's command."""
    given = service["command"]
    return shlex.split(given) if isinstance(given, str) else list(given)


def health_check(service: Mapping[str, Any]) -> list[str]:
    """The arguments of the command that says whether a service is healthy."""
    kind, *arguments = service["healthcheck"]["test"]
    return ["sh", "-c", *arguments] if kind == "CMD-SHELL" else arguments


def environment(service: Mapping[str, Any]) -> dict[str, str]:
    """The variables that a service gets, those of its ``env_file`` included."""
    lines = (ROOT / service["env_file"]).read_text().splitlines() if "env_file" in service else []
    of_file = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    own: dict[str, str] = service.get("environment", {})
    return of_file | own


def _interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    match value:
        case str():
            return _VARIABLE.sub(lambda found: _value(found, variables), value)
        case dict():
            return {key: _interpolated(item, variables) for key, item in value.items()}
        case list():
            return [_interpolated(item, variables) for item in value]
        case _:
            return value


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    if found["escaped"]:
        return "$"
    value = variables.get(found["name"], "")
    if not value and found["kind"] == "?":
        raise MissingVariableError(f"{found['name']}: {found['rest']}")
    return value or (found["rest"] if found["kind"] == "-" else "")
