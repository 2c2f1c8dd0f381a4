"""The address of a store, as users write it."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from otel_coverage.errors import ConfigurationError

DEFAULT_DATABASE = "otel"
DEFAULT_PORT = 8123
DEFAULT_TLS_PORT = 8443

_FORMS = "chdb:///absolute/path or clickhouse://user:password@host:8123/otel"
_NAME = re.compile(r"[^\W\d]\w{0,127}")


@dataclass(frozen=True, slots=True)
class Dsn:
    """Where a store is, and the database in it.

    Attributes:
        kind: ``chdb``, the engine in this process, or ``clickhouse``, a server.
        database: the database of ``otel_traces`` and of all tables and views of ours.
        path: the folder of an embedded store; empty for a server.
        host: the server's name; empty for an embedded store, as are the following.
        port: the port of its HTTP interface.
        username: the user to connect as.
        password: the user's password; never shown.
        tls: whether to use HTTPS.
        options: further settings for clickhouse-connect (``verify``, ``ca_cert``, ``connect_timeout``, …).
    """

    kind: Literal["chdb", "clickhouse"]
    database: str = DEFAULT_DATABASE
    path: str = ""
    host: str = ""
    port: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """The address without the password, to be shown and logged."""
        if self.kind == "chdb":
            return f"chdb://{self.path}" + ("" if self.database == DEFAULT_DATABASE else f"?database={self.database}")
        scheme = "clickhouses" if self.tls else "clickhouse"
        user = f"{self.username}@" if self.username else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{user}{host}:{self.port}/{self.database}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is a server on this machine."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @classmethod
    def parse(cls, text: str) -> Dsn:
        """Parse an address.

        Raises:
            ConfigurationError: it has neither form; the message never contains the password.
        """
        scheme, separator, rest = text.partition("://")
        if not separator or scheme not in ("chdb", "clickhouse", "clickhouses"):
            shown = scheme if separator else "it has no scheme"
            raise ConfigurationError(f"invalid store address ({shown}): expected {_FORMS}")
        return _embedded(rest) if scheme == "chdb" else _server(text, tls=scheme == "clickhouses")


def _embedded(rest: str) -> Dsn:
    path, _, query = rest.partition("?")
    options = dict(parse_qsl(query))
    database = options.pop("database", DEFAULT_DATABASE)
    path = unquote(path)
    if not path.startswith("/") or path.strip("/") == "":
        raise ConfigurationError(
            f"chdb://{path}: the path of an embedded store has to be absolute, as in chdb:///var/lib/x"
        )
    if options:
        raise ConfigurationError(f"chdb://{path}: unknown option {min(options)!r}; the only one is ?database=")
    return Dsn("chdb", database_name(database), path=os.path.realpath(path))


def _server(text: str, *, tls: bool) -> Dsn:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"invalid store address ({error}): expected {_FORMS}") from error
    if not parts.hostname:
        raise ConfigurationError(f"invalid store address (it has no host): expected {_FORMS}")
    options = dict(parse_qsl(parts.query))
    tls = tls or options.pop("secure", "").lower() in ("1", "true", "yes")
    database = unquote(parts.path.strip("/")) or options.pop("database", DEFAULT_DATABASE)
    return Dsn(
        "clickhouse",
        database_name(database),
        host=parts.hostname,
        port=port or (DEFAULT_TLS_PORT if tls else DEFAULT_PORT),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=tls,
        options=tuple(sorted(options.items())),
    )


def database_name(name: str) -> str:
    """The name, checked: it is used in statements that take no parameters.

    Raises:
        ConfigurationError: it is not a valid name.
    """
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(f"database {name!r}: use letters, digits and underscores, the first not a digit")
    return name
