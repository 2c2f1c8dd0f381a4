"""Which requests of a test may name its profile: those to the application, and to nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback.client import is_loopback

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request goes.

    Attributes:
        host: in lower case, without brackets.
        port: the number.
    """

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin | None:
        """The origin of a URL; None where it has none."""
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme.lower())
        except ValueError:
            return None
        return cls(parts.hostname, port) if parts.hostname and port else None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Targets:
    """The allow list.

    Attributes:
        named: hosts, each with its port or None for any; empty for loopback.
    """

    named: frozenset[tuple[str, int | None]] = frozenset()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Targets:
        """Targets as they are given: ``host``, ``host:port`` or a URL.

        Raises:
            ConfigurationError: one is neither.
        """
        return cls(frozenset(map(_target, texts)))

    def allow(self, origin: Origin) -> bool:
        """Whether what goes there may name a profile."""
        if not self.named:
            return is_loopback(origin.host)
        return bool({(origin.host, None), (origin.host, origin.port)} & self.named)


def _target(text: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme.lower())
    except ValueError:
        host, port = None, None
    if not host or any(each in text for each in "*@ ") or parts.path not in ("", "/"):
        raise ConfigurationError(
            f"--playback-target {text!r}: expected a host, host:port or http://host:port, such as 127.0.0.1:8000"
        )
    return host, port
