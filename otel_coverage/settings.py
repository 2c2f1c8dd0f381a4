"""The settings of a traced process, from arguments, environment variables and pyproject.toml."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args

from otel_coverage.errors import ConfigurationError

Granularity = Literal["line", "function"]
EngineChoice = Literal["auto", "monitoring", "coverage"]

ENVIRONMENT_PREFIX = "OTEL_COVERAGE_"
PYPROJECT_TABLE = "tool.otel_coverage"

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process records, and for which requests.

    Attributes:
        enabled: whether this process records at all (``OTEL_COVERAGE_ENABLED``).
        source: packages or folders of the application; empty for the working directory (``OTEL_COVERAGE_SOURCE``).
        granularity: ``line`` or ``function`` (``OTEL_COVERAGE_GRANULARITY``).
        engine: ``auto``, ``monitoring`` or ``coverage`` (``OTEL_COVERAGE_ENGINE``).
        rcfile: path of a coverage.py configuration (``OTEL_COVERAGE_RCFILE``).
        token: secret that a request has to present, or be signed with, to name a profile; it is never sent
            (``OTEL_COVERAGE_TOKEN``).
        run_id: the run of requests that name none (``OTEL_COVERAGE_RUN_ID``).
        server_timing: whether responses to traced requests name trace and profile in a ``Server-Timing`` header, which
            browsers show (``OTEL_COVERAGE_SERVER_TIMING``).
    """

    enabled: bool = False
    source: tuple[str, ...] = ()
    granularity: Granularity = "line"
    engine: EngineChoice = "auto"
    rcfile: str | None = None
    token: str | None = None
    run_id: str | None = None
    server_timing: bool = False

    def __repr__(self) -> str:
        shown = (
            f"{field.name}={'***' if field.name == 'token' and self.token else repr(getattr(self, field.name))}"
            for field in fields(self)
        )
        return f"Settings({', '.join(shown)})"

    @classmethod
    def load(
        cls,
        *,
        environ: Mapping[str, str] | None = None,
        folder: str | os.PathLike[str] = ".",
        **arguments: object,
    ) -> Settings:
        """Settings from arguments, then environment, then ``pyproject.toml`` in ``folder``: the first that has one.

        An argument that is None or an empty tuple counts as not given, as click passes an option that was not used.

        Raises:
            ConfigurationError: an unknown name, or a value that the setting cannot have; the message says where it is.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for origin, found in (
            (Path(folder) / "pyproject.toml", _from_pyproject(Path(folder) / "pyproject.toml")),
            ("environment", _from_environment(environ)),
            ("arguments", {name: value for name, value in arguments.items() if value not in (None, ())}),
        ):
            for name, value in found.items():
                values[name] = _checked(name, value, origin)
        return cls(**values)


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """The variables that are set; to OpenTelemetry's specification an empty one is not."""
    found = {field.name: environ.get(_variable(field.name), "") for field in fields(Settings)}
    return {name: value for name, value in found.items() if value.strip()}


def _from_pyproject(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    if "otel_coverage" not in text:
        return {}  # whatever else is wrong with the file is not for us to report
    try:
        tools = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from error
    table = tools.get("otel_coverage", {}) if isinstance(tools, dict) else tools
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: {PYPROJECT_TABLE} is {table!r}, expected a table [{PYPROJECT_TABLE}]")
    if "enabled" in table:
        raise ConfigurationError(f"{path}: [{PYPROJECT_TABLE}] cannot set enabled; set {_variable('enabled')} instead")
    return cast("dict[str, object]", table)


def _checked(name: str, value: object, origin: str | Path) -> object:
    """``value`` as the setting's type."""
    if origin == "environment":
        where = _variable(name)
    elif origin == "arguments":
        where = f"argument {name}"
    else:
        where = f"{origin}: {name} in [{PYPROJECT_TABLE}]"
    names = [field.name for field in fields(Settings)]
    if name not in names:
        raise ConfigurationError(f"{where}: there is no such setting; known are {', '.join(names)}")
    where = f"{where} is {'a value that is not text' if name == 'token' else repr(value)}"
    if name in ("enabled", "server_timing"):
        text = str(value).strip().lower()
        if text not in _TRUE | _FALSE:
            raise ConfigurationError(f"{where}, expected 1 or 0")
        return text in _TRUE
    if name == "source":
        entries = [value] if isinstance(value, str) else value
        if not isinstance(entries, list | tuple) or not all(isinstance(entry, str) for entry in entries):
            raise ConfigurationError(f"{where}, expected a list of packages or folders")
        parts = (part.strip() for entry in entries for part in entry.replace("\n", ",").split(","))
        return tuple(part for part in parts if part)
    if not isinstance(value, str):
        raise ConfigurationError(f"{where}, expected text")
    if name in ("granularity", "engine"):
        choices = get_args(Granularity if name == "granularity" else EngineChoice)
        if value not in choices:
            raise ConfigurationError(f"{where}, expected {' or '.join(choices)}")
        return value
    return value or None


def _variable(name: str) -> str:
    return ENVIRONMENT_PREFIX + name.upper()
