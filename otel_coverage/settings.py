"""Settings of a traced process: one typed object, filled from arguments, then environment, then pyproject.toml."""

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
    """What the recorder records, and for whom.

    Attributes:
        enabled: whether this process records at all (``OTEL_COVERAGE_ENABLED``).
        source: packages or folders of the application; empty for the working directory (``OTEL_COVERAGE_SOURCE``).
        granularity: ``line`` or ``function`` (``OTEL_COVERAGE_GRANULARITY``).
        engine: ``auto``, ``monitoring`` or ``coverage`` (``OTEL_COVERAGE_ENGINE``).
        rcfile: path of a coverage.py configuration (``OTEL_COVERAGE_RCFILE``).
        token: secret that vouches for a slug; never sent anywhere (``OTEL_COVERAGE_TOKEN``).
        run_id: run that requests without one of their own belong to (``OTEL_COVERAGE_RUN_ID``).
        server_timing: whether responses to traced requests name their trace and profile in a ``Server-Timing`` header,
            for whoever looks at them in a browser (``OTEL_COVERAGE_SERVER_TIMING``).
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
        """Settings from arguments (those given), then environment, then ``pyproject.toml`` in ``folder``.

        An argument that is None or an empty tuple counts as not given, as click hands over an option that was not used.

        Raises:
            ConfigurationError: an unknown name or a value that the setting cannot take; it says where that value stood.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        names = {field.name for field in fields(cls)}
        for origin, candidates in (
            (f"[{PYPROJECT_TABLE}] in pyproject.toml", _from_pyproject(Path(folder))),
            ("the environment", _from_environment(environ, names)),
            ("the arguments", {name: value for name, value in arguments.items() if value not in (None, ())}),
        ):
            for name, value in candidates.items():
                if name not in names or (name == "enabled" and origin.startswith("[")):
                    raise ConfigurationError(
                        f"{origin}: unknown setting {name!r}; known are {', '.join(sorted(names - {'enabled'}))}"
                    )
                values[name] = _checked(name, value, origin)
        return cls(**values)


def _from_environment(environ: Mapping[str, str], names: set[str]) -> dict[str, object]:
    """The variables that are set; an empty one is not, as OpenTelemetry's specification has it."""
    found = {name: environ.get(ENVIRONMENT_PREFIX + name.upper(), "") for name in names}
    return {name: value for name, value in found.items() if value.strip()}


def _from_pyproject(folder: Path) -> dict[str, object]:
    path = folder / "pyproject.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    if "otel_coverage" not in text:
        return {}  # whatever else is wrong with the file is not for us to report
    try:
        tools = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    table = tools.get("otel_coverage", {}) if isinstance(tools, dict) else tools
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: {PYPROJECT_TABLE} is no table")
    return cast("dict[str, object]", table)


def _checked(name: str, value: object, origin: str) -> object:
    where = f"{name} in {origin}"
    if name in ("enabled", "server_timing"):
        text = str(value).strip().lower()
        if text not in _TRUE | _FALSE:
            raise ConfigurationError(f"{where}: {value!r} is neither 1 nor 0")
        return text in _TRUE
    if name == "source":
        entries = [value] if isinstance(value, str) else value
        if not isinstance(entries, list | tuple) or not all(isinstance(entry, str) for entry in entries):
            raise ConfigurationError(f"{where}: a list of packages or folders is wanted, not {value!r}")
        parts = (part.strip() for entry in entries for part in entry.replace("\n", ",").split(","))
        return tuple(part for part in parts if part)
    if not isinstance(value, str):
        shown = "what stands there" if name == "token" else repr(value)
        raise ConfigurationError(f"{where}: text is wanted, not {shown}")
    if name in ("granularity", "engine"):
        choices = get_args(Granularity if name == "granularity" else EngineChoice)
        if value not in choices:
            raise ConfigurationError(f"{where}: {value!r} is none of {', '.join(choices)}")
        return value
    return value or None
