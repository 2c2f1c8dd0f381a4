"""The settings of a traced process, from arguments, environment variables and pyproject.toml."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from otel_coverage.errors import ConfigurationError
from otel_coverage.slug import SLUG_RULE, is_slug

Granularity = Literal["line", "function"]
EngineChoice = Literal["auto", "monitoring", "coverage"]

ENVIRONMENT_PREFIX = "OTEL_COVERAGE_"
PYPROJECT_TABLE = "tool.otel_coverage"
_COMMAND_TABLES = frozenset({"ci", "impacted"})  # tables in that one which commands read

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
        startup: whether to record, apart from all profiles, what this process executes before its first request or job
            (``OTEL_COVERAGE_STARTUP``).
        partial_interval: seconds after which what a request or job that is still running has executed is sent, again
            and again; 0 for never (``OTEL_COVERAGE_PARTIAL_INTERVAL``).
        server_timing: whether responses to traced requests name trace and profile in a ``Server-Timing`` header, which
            browsers show (``OTEL_COVERAGE_SERVER_TIMING``).
        spool: folder in which spans wait for being sent, or ``off``; by default one of the user's and the service's
            (``OTEL_COVERAGE_SPOOL``).
        spool_bytes: what it may hold (``OTEL_COVERAGE_SPOOL_BYTES``).
        spool_age: seconds that spans are kept in it (``OTEL_COVERAGE_SPOOL_AGE``).
        spool_linger: seconds that who sends it goes on trying to after the last process of the service has ended
            (``OTEL_COVERAGE_SPOOL_LINGER``).
        spool_sync: whether spans are written through to the disk (``OTEL_COVERAGE_SPOOL_SYNC``).
        origins: where each of them comes from, where it is not the default; see :meth:`origin`.
    """

    enabled: bool = False
    source: tuple[str, ...] = ()
    granularity: Granularity = "line"
    engine: EngineChoice = "auto"
    rcfile: str | None = None
    token: str | None = None
    run_id: str | None = None
    startup: bool = False
    server_timing: bool = False
    partial_interval: float = 30.0
    spool: str | None = None
    spool_bytes: int = 256 * 1024 * 1024
    spool_age: float = 7 * 24 * 3600.0
    spool_linger: float = 60.0
    spool_sync: bool = False
    origins: tuple[tuple[str, str], ...] = field(default=(), repr=False, compare=False)

    def __repr__(self) -> str:
        shown = (
            f"{name}={'***' if name == 'token' and self.token else repr(getattr(self, name))}"
            for name in setting_names()
        )
        return f"Settings({', '.join(shown)})"

    def origin(self, name: str) -> str:
        """Where the value of a setting comes from: a variable, a line of a file, an argument; for error messages."""
        return dict(self.origins).get(name, f"{_variable(name)}, which is not set")

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
        origins: dict[str, str] = {}
        pyproject = Path(os.path.abspath(folder), "pyproject.toml")
        for origin, found in (
            (pyproject, _from_pyproject(pyproject)),
            ("environment", _from_environment(environ)),
            ("arguments", {name: value for name, value in arguments.items() if value not in (None, ())}),
        ):
            for name, value in found.items():
                origins[name] = _origin(name, origin)
                values[name] = _checked(name, value, origins[name])
        return cls(**values, origins=tuple(origins.items()))


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """The variables that are set; to OpenTelemetry's specification an empty one is not."""
    found = {name: environ.get(_variable(name), "") for name in setting_names()}
    return {name: value for name, value in found.items() if value.strip()}


def _from_pyproject(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    if "otel_coverage" not in text:
        return {}  # whatever else is wrong with the file is not for us to report
    if sys.version_info >= (3, 11):  # few processes have such a file
        import tomllib
    else:
        import tomli as tomllib

    try:
        tools = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from error
    table = tools.get("otel_coverage", {}) if isinstance(tools, dict) else tools
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: {PYPROJECT_TABLE} is {table!r}, expected a table [{PYPROJECT_TABLE}]")
    if "enabled" in table:
        raise ConfigurationError(f"{path}: [{PYPROJECT_TABLE}] cannot set enabled; set {_variable('enabled')} instead")
    return {name: value for name, value in table.items() if name not in _COMMAND_TABLES}


def setting_names() -> list[str]:
    """The names of all settings."""
    return [field.name for field in fields(Settings) if field.name != "origins"]


def _origin(name: str, origin: str | Path) -> str:
    """Where a value was found, for people."""
    if origin == "environment":
        return _variable(name)
    if origin == "arguments":
        return f"argument {name}"
    return f"{origin}: {name} in [{PYPROJECT_TABLE}]"


def _checked(name: str, value: object, where: str) -> object:
    """``value`` as the setting's type."""
    names = setting_names()
    if name not in names:
        raise ConfigurationError(f"{where}: there is no such setting; known are {', '.join(names)}")
    where = f"{where} is {'a value that is not text' if name == 'token' else repr(value)}"
    if name in ("enabled", "startup", "server_timing", "spool_sync"):
        text = str(value).strip().lower()
        if text not in _TRUE | _FALSE:
            raise ConfigurationError(f"{where}, expected 1 or 0")
        return text in _TRUE
    if name in ("spool_bytes", "spool_age"):
        return _positive(value, where, int if name == "spool_bytes" else float)
    if name in ("partial_interval", "spool_linger"):
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = math.nan
        if isinstance(value, bool) or not 0 <= seconds < math.inf:
            raise ConfigurationError(
                f"{where}, expected seconds, or 0 for {'never' if name == 'partial_interval' else 'none'}"
            )
        return seconds
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
    if name == "run_id" and value and not is_slug(value):
        raise ConfigurationError(f"{where}, expected {SLUG_RULE}")
    return value or None


def _positive(value: object, where: str, kind: type[int | float]) -> float:
    try:
        number = kind(str(value))
    except ValueError:
        number = 0
    if not 0 < number < 2**63:
        raise ConfigurationError(f"{where}, expected a number {'of bytes' if kind is int else 'of seconds'} above 0")
    return number


def _variable(name: str) -> str:
    return ENVIRONMENT_PREFIX + name.upper()
