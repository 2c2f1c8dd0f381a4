"""The application behind the proxy: its address, and which URLs are its own."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from otel_coverage.errors import ConfigurationError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """An application.

    Attributes:
        scheme: ``http`` or ``https``.
        host: as it stands in the header ``Host``: with its port, where that is not the scheme's.
        hosts: further names of it, each ``host`` or ``host:port``.
    """

    scheme: str
    host: str
    hosts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, url: str, hosts: tuple[str, ...] = ()) -> Target:
        """The application at a URL.

        Raises:
            ConfigurationError: it is not a URL of HTTP, or has more than a host and a path.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(f"--target {url!r} is not a URL: {error}") from error
        if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
            raise ConfigurationError(f"--target {url!r} must be http://HOST[:PORT] or https://HOST[:PORT]")
        if parts.query or parts.fragment or parts.path.rstrip("/"):
            raise ConfigurationError(
                f"--target {url!r} must end after the host: the proxy serves all paths, open that one in the browser"
            )
        name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        host = name if port in (None, _PORTS[parts.scheme]) else f"{name}:{port}"
        return cls(parts.scheme, host, hosts)

    @property
    def origin(self) -> str:
        """Scheme and host."""
        return f"{self.scheme}://{self.host}"

    @property
    def address(self) -> tuple[str, int]:
        """Host name and port."""
        parts = urlsplit(self.origin)
        return parts.hostname or "", parts.port or _PORTS[self.scheme]

    def is_own(self, url: str) -> bool:
        """Whether what stands at an absolute URL is served through the proxy."""
        try:
            parts = urlsplit(url)
            host = _host(parts)
        except ValueError:
            return False
        if parts.scheme not in _PORTS:
            return False
        if host in self.hosts or parts.hostname in self.hosts:
            return True
        # from http to https leads to another server, and back from there to the proxy, again and again; an application
        # that is behind TLS, and does not know it, names http
        is_same = parts.scheme == self.scheme or (parts.scheme, self.scheme) == ("http", "https")
        return is_same and host == self.host

    def own_path(self, url: str, base: str) -> str | None:
        """Path, query and fragment of a URL that leads to the application; None where it leads elsewhere.

        Args:
            url: absolute, or relative to ``base``.
            base: absolute.
        """
        try:
            absolute = urljoin(base, url)
        except ValueError:
            return None
        if not self.is_own(absolute):
            return None
        path = urlsplit(absolute)._replace(scheme="", netloc="").geturl()
        return path if path.startswith("/") else f"/{path}"


def _host(parts: SplitResult) -> str:
    """The host of a URL as :attr:`Target.host` has it."""
    name = parts.hostname or ""
    name = f"[{name}]" if ":" in name else name
    return name if parts.port in (None, _PORTS.get(parts.scheme)) else f"{name}:{parts.port}"
