"""``[tool.otel_coverage.ci]``: what a project says of its nights, in pyproject.toml or a file of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from otel_coverage.errors import ConfigurationError
from otel_coverage.impact.settings import toml
from otel_coverage.suggestions import suggestion

TABLE = "tool.otel_coverage.ci"
Layout = Literal["matrix", "profiles"]

# The commits that these releases' tags name: a tag can be moved, a commit cannot.
ACTIONS = {
    "actions/checkout": "11bd71901bbe5b1630ceea73d27597364c9af683 v4.2.2",
    "actions/download-artifact": "d3f86a106a0bac45b974a628896c90dbdf5c8093 v4.3.0",
    "actions/setup-python": "a26af69be951a213d495a4c3e4e4022e16d87065 v5.6.0",
    "actions/upload-artifact": "ea165f8d65b6e75b540449e92b4886f43607fa02 v4.6.2",
}

_INSTALL = (
    'install = ["python -m pip install --editable .", '
    """"python -m pip install 'otel-coverage[embedded,playback,report] @ git+https://git.example/otel-coverage@COMMIT'"]"""
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PROCESS = re.compile(r"[a-z][a-z0-9_-]*")
_PIN = re.compile(r"[0-9a-f]{40} v?[0-9][0-9A-Za-z.-]*")
_CRON = re.compile(r"[0-9*/,\-]+( [0-9*/,\-A-Za-z]+){4}")


@dataclass(frozen=True, slots=True)
class Service:
    """A container that runs beside a job.

    Attributes:
        image: with a tag or a digest.
        port: that it listens on; a free one of the job's machine leads to it.
        variable: the environment variable that says where it is.
        url: the value of that; ``{port}`` stands for the machine's port.
        health: a command inside of the container that succeeds once it is ready; empty for none.
    """

    image: str
    port: int
    variable: str
    url: str
    health: str = ""


SERVICES = {"redis": Service("redis:7", 6379, "REDIS_URL", "redis://127.0.0.1:{port}/0", "redis-cli ping")}
"""What a service of that name has where the table does not say otherwise."""


@dataclass(frozen=True, slots=True)
class CiSettings:
    """What the workflows are made of.

    Attributes:
        processes: name → command of what is traced: the application and its workers; words of a shell, in which
            ``$PORT`` is the port to serve on.
        layout: ``matrix``: one workflow, a job for each profile; ``profiles``: a workflow for each profile, and one
            that puts their night together.
        folder: in which everything runs, below the repository.
        profiles: the folder of playback recordings, below that one.
        source: packages or folders of the application.
        python: its version.
        runs_on: label of the machines.
        install: shell lines that install the application and otel-coverage; a project has to say where from.
        prepare: shell lines before the processes start, of the same shell: migrations, ``export``.
        services: name → what runs beside.
        client: the command of a client of the project's own that plays ``$PROFILE`` at ``$BASE_URL`` and names it in
            the header ``X-Profile-Trace``; empty for ``otel-coverage playback run``.
        playback_options: options of ``otel-coverage playback run``.
        cron: when a night begins, UTC.
        stagger: minutes from one profile's begin to the next one's, layout ``profiles``.
        report_cron: when the night is put together, layout ``profiles``.
        port: that the application serves on.
        timeout_minutes: of a job.
        retention_days: that artifacts are kept.
        keep_days: that the store which goes from night to night keeps a revision without new coverage.
        gates: options of ``otel-coverage gate``, each a call.
        report_options: options of ``otel-coverage report``.
        allow_lost: the committed list of what a night may lose of what the last one executed, below the folder; empty
            for no such gate.
        overhead: the profile with which the cost of tracing is measured every night; empty for none.
        overhead_options: options of ``otel-coverage overhead``.
        max_overhead: percent that it may be, a gate.
        changed: percent of the changed functions that some profile has to execute, in pull requests; None for no gate.
        pull_request: whether there is a workflow for pull requests.
        store: name of the secret with the DSN of a store, with the schema in it, that all nights are sent to; empty
            where each job has one of its own, and the nights are put together from artifacts.
        collector: of that store, where spans are sent to.
        webhook: name of the secret with the URL that is notified of absent or incomplete nights; empty for none.
        page_url: where index.html of the nights is published; empty where it is in artifacts alone.
        actions: action → commit and version that it is pinned to.
        origin: the file that says so, for messages and the workflows' first lines.
    """

    processes: Mapping[str, str] = field(default_factory=dict)
    layout: Layout = "matrix"
    folder: str = "."
    profiles: str = "profiles"
    source: tuple[str, ...] = ()
    python: str = "3.13"
    runs_on: str = "ubuntu-24.04"
    install: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()
    services: Mapping[str, Service] = field(default_factory=dict)
    client: str = ""
    playback_options: tuple[str, ...] = ()
    cron: str = "17 1 * * *"
    stagger: int = 10
    report_cron: str = "17 5 * * *"
    port: int = 8000
    timeout_minutes: int = 30
    retention_days: int = 30
    keep_days: int = 30
    gates: tuple[str, ...] = ()
    report_options: tuple[str, ...] = ()
    allow_lost: str = ""
    overhead: str = ""
    overhead_options: tuple[str, ...] = ("--max-seconds 300",)
    max_overhead: float = 25
    changed: float | None = None
    pull_request: bool = True
    store: str = ""
    collector: str = ""
    webhook: str = ""
    page_url: str = ""
    actions: Mapping[str, str] = field(default_factory=lambda: ACTIONS)
    origin: str = "pyproject.toml"

    @classmethod
    def load(cls, path: Path) -> CiSettings:
        """Those of a file: its table ``[tool.otel_coverage.ci]``, or in any but ``pyproject.toml`` the whole of it.

        Raises:
            ConfigurationError: it cannot be read, or says something that is not valid; the message says where.
        """
        try:
            document = toml(path.read_text(encoding="utf-8"), path)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: cannot be read: {error}") from error
        where, table = f"{path}: [{TABLE}]", _table(document)
        if table is None and path.name != "pyproject.toml" and "tool" not in document:
            where, table = f"{path}", document
        if not isinstance(table, dict):
            raise ConfigurationError(
                f'{path}: expected a table [{TABLE}], with processes.web = "gunicorn shop:app --bind 127.0.0.1:$PORT" '
                f"and {_INSTALL} at least"
            )
        return cls(**_checked(table, where), origin=path.name)


def _table(document: Mapping[str, Any]) -> Any:
    found: Any = document
    for name in TABLE.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _checked(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = [each.name for each in fields(CiSettings) if each.name != "origin"]
    found: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            raise ConfigurationError(f"{where}: no setting {name!r}; {suggestion(name, known)}")
        found[name] = _CHECKS.get(name, _text)(value, f"{where}: {name}")
    if not found.get("processes"):
        raise ConfigurationError(
            f'{where}: no processes; expected the application at least: processes.web = "gunicorn shop:app --bind '
            '127.0.0.1:$PORT"'
        )
    if bool(found.get("store")) != bool(found.get("collector")):
        raise ConfigurationError(
            f"{where}: store, the secret with its DSN, and collector, which spans are sent to, belong together"
        )
    if not found.get("install"):
        raise ConfigurationError(
            f"{where}: no install; expected shell lines that install the application and otel-coverage. It is not on "
            f"PyPI, so from a checkout, a wheel or a repository: {_INSTALL}"
        )
    return found


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ConfigurationError(f"{where} is {value!r}, expected text in one line")
    return value


def _lines(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ConfigurationError(f"{where} is {value!r}, expected a list of texts")
    return tuple(_text(each, f"{where}[{place}]") for place, each in enumerate(value))


def _number(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 100_000:
        raise ConfigurationError(f"{where} is {value!r}, expected a number above 0")
    return value


def _percent(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ConfigurationError(f"{where} is {value!r}, expected a number from 0 to 100")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{where} is {value!r}, expected true or false")
    return value


def _layout(value: object, where: str) -> str:
    if value not in get_args(Layout):
        raise ConfigurationError(f"{where} is {value!r}, expected {' or '.join(map(repr, get_args(Layout)))}")
    return str(value)


def _cron(value: object, where: str) -> str:
    if not isinstance(value, str) or not _CRON.fullmatch(value):
        raise ConfigurationError(f"{where} is {value!r}, expected five fields such as '17 1 * * *'")
    return value


def _secret(value: object, where: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ConfigurationError(f"{where} is {value!r}, expected the name of a secret, such as NIGHT_WEBHOOK")
    return value


def _url(value: object, where: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s\"'<>()|`$\\]+", value):
        raise ConfigurationError(f"{where} is {value!r}, expected an address such as https://shop.example/index.html")
    return value


def _below(value: object, where: str) -> str:
    text = _text(value, where)
    if Path(text).is_absolute() or ".." in Path(text).parts:
        raise ConfigurationError(f"{where} is {value!r}, expected a folder below the repository")
    return text


def _processes(value: object, where: str) -> dict[str, str]:
    found = _named(value, where, _PROCESS, "a process, such as web or worker")
    return {name: _text(each, f"{where}.{name}") for name, each in found.items()}


def _services(value: object, where: str) -> dict[str, Service]:
    found = _named(value, where, _PROCESS, "a service, such as redis")
    return {name: _service(name, each, f"{where}.{name}") for name, each in found.items()}


def _service(name: str, value: object, where: str) -> Service:
    known = [each.name for each in fields(Service)]
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where} is {value!r}, expected a table, {{}} for what is usual of {name}")
    usual = SERVICES.get(name)
    given = {} if usual is None else {each: getattr(usual, each) for each in known}
    for key, each in value.items():
        if key not in known:
            raise ConfigurationError(f"{where}: no setting {key!r}; {suggestion(key, known)}")
        given[key] = (_number if key == "port" else _text)(each, f"{where}.{key}")
    lacking = [each.name for each in fields(Service) if each.default is MISSING and each.name not in given]
    if lacking:
        raise ConfigurationError(f"{where}: {', '.join(lacking)} expected")
    if not _NAME.fullmatch(str(given["variable"])):
        raise ConfigurationError(f"{where}.variable is {given['variable']!r}, expected the name of a variable")
    return Service(**given)


def _actions(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where} is {value!r}, expected a table")
    for name, pin in value.items():
        if name not in ACTIONS:
            raise ConfigurationError(f"{where}: no action {name!r}; {suggestion(name, ACTIONS)}")
        if not isinstance(pin, str) or not _PIN.fullmatch(pin):
            raise ConfigurationError(
                f"{where}.{name!r} is {pin!r}, expected a commit's 40 digits and its version: '{ACTIONS[name]}'"
            )
    return {**ACTIONS, **value}


def _named(value: object, where: str, rule: re.Pattern[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where} is {value!r}, expected a table with a line for each")
    for name in value:
        if not rule.fullmatch(name):
            raise ConfigurationError(f"{where}: {name!r} is not valid, expected the name of {what}")
    return value


_CHECKS: Mapping[str, Any] = {
    "actions": _actions,
    "allow_lost": _below,
    "changed": _percent,
    "cron": _cron,
    "folder": _below,
    "gates": _lines,
    "install": _lines,
    "keep_days": _number,
    "layout": _layout,
    "max_overhead": _percent,
    "overhead_options": _lines,
    "page_url": _url,
    "playback_options": _lines,
    "port": _number,
    "prepare": _lines,
    "processes": _processes,
    "profiles": _below,
    "pull_request": _flag,
    "report_cron": _cron,
    "report_options": _lines,
    "retention_days": _number,
    "services": _services,
    "source": _lines,
    "stagger": _number,
    "timeout_minutes": _number,
    "store": _secret,
    "collector": _url,
    "webhook": _secret,
}
