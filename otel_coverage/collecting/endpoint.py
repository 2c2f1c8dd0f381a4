"""Where the collector listens."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from otel_coverage.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a port; port 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read ``host:port`` or ``[ipv6]:port``.

        Raises:
            ConfigurationError: it is of neither form.
        """
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (host and colon and port.isascii() and port.isdigit() and int(port) < 65536):
            raise ConfigurationError(f"endpoint {text!r}: write host:port, e.g. 127.0.0.1:4317")
        return cls(host, int(port))

    def check(self, option: str) -> None:
        """See whether one can listen here: gRPC itself would tell on stderr, in several lines, and not say why.

        Args:
            option: which option of the command names this endpoint.

        Raises:
            ConfigurationError: one cannot.
        """
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {self}: {error.strerror}; {option} names another address, or none"
            ) from error
