"""Endpoints, and the HTTP server behind them (cheroot), for a few clients on this machine."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from cheroot import wsgi
from cheroot.errors import MaxSizeExceeded
from cheroot.server import ChunkedRFile, HTTPConnection
from werkzeug import Request, Response

from otel_coverage.collecting.connections import EXCHANGE, HEADER_TIMEOUT, Watcher
from otel_coverage.errors import ConfigurationError

Application = Callable[[Request], Response]

MAX_THREADS = 32  # requests in progress; others are queued
MAX_QUEUED = 256  # beyond, the response is 503; slow clients that fill it lose their threads after a second

_MAX_HEADER_BYTES = 256 * 1024  # the URL may contain a query
_SOCKET_TIMEOUT = 20  # seconds without any progress while a request is read or a response written
_DRAIN_TIMEOUT = 5.0  # seconds for the part of a body that nobody wanted
_SHUTDOWN_TIMEOUT = 30  # seconds

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a port; port 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Parse ``host:port`` or ``[ipv6]:port``.

        Raises:
            ConfigurationError: ``text`` has neither form.
        """
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (host and colon and port.isascii() and port.isdigit() and int(port) < 65536):
            raise ConfigurationError(f"endpoint {text!r} is not host:port, for example 127.0.0.1:4317")
        return cls(host, int(port))

    def check(self, option: str) -> None:
        """Try to bind the endpoint: gRPC itself logs several lines to stderr without the reason.

        Args:
            option: the command-line option of this endpoint, for the message.

        Raises:
            ConfigurationError: the endpoint cannot be bound.
        """
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {self}: {error.strerror}; set {option} to another address or to none"
            ) from error


class HttpServer:
    """Binds its endpoint when it is constructed; serves between :meth:`start` and :meth:`stop`.

    Args:
        endpoint: where to listen.
        option: the command-line option of this endpoint, for messages.
        max_body_bytes: largest request body, as sent.
        threads: requests in progress at once; others are queued.

    Raises:
        ConfigurationError: the endpoint cannot be bound.
    """

    def __init__(self, endpoint: Endpoint, option: str, max_body_bytes: int, threads: int = MAX_THREADS) -> None:
        endpoint.check(option)
        self._server = _Server(
            (endpoint.host, endpoint.port),
            None,
            numthreads=threads,  # cheroot starts these, and never more
            max=threads,
            request_queue_size=MAX_QUEUED,
            accepted_queue_size=MAX_QUEUED,
            accepted_queue_timeout=0.01,
            timeout=_SOCKET_TIMEOUT,
            shutdown_timeout=_SHUTDOWN_TIMEOUT,
        )
        self._server.max_request_header_size = _MAX_HEADER_BYTES
        self._server.max_request_body_size = max_body_bytes
        try:
            self._server.prepare()
        except OSError as error:  # bound by another process since the check
            raise ConfigurationError(f"cannot listen on {endpoint}: {error}") from error
        self.endpoint = Endpoint(endpoint.host, self._server.bind_addr[1])
        self._thread: threading.Thread | None = None

    def start(self, application: Application) -> None:
        """Serve an application. On a loopback endpoint, requests that a web page can cause get a 403."""
        only_local = self.endpoint.is_loopback

        def handle(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            request = Request(environ)
            if only_local and _is_cross_site(request):
                response = Response("requests from web pages are refused; see the Origin and Host headers\n", 403)
            else:
                response = application(request)
            with environ[EXCHANGE].receiving(_DRAIN_TIMEOUT):
                _drain(environ["wsgi.input"])
            return response(environ, start_response)

        self._server.wsgi_app = handle
        self._server.watcher.start()
        self._thread = threading.Thread(target=self._server.serve, name="otel-coverage-http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse new requests and answer those in progress."""
        self._server.stop()
        if self._thread is not None:
            self._thread.join()
        self._server.watcher.stop()


class _Connection(HTTPConnection):
    def communicate(self) -> Any:
        with cast("Any", self).exchange.receiving(HEADER_TIMEOUT):
            return cast("Any", super()).communicate()


class _Gateway(wsgi.Gateway_10):
    def get_environ(self) -> Any:
        exchange = self.req.conn.exchange
        exchange.received()  # the header
        return {**cast("Any", super()).get_environ(), EXCHANGE: exchange}


class _Server(wsgi.Server):
    """cheroot's server, whose threads get connections only when a whole header is there."""

    ConnectionClass = _Connection

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.gateway = _Gateway
        self.watcher = Watcher(super().process_conn, lambda: self.requests.qsize)

    def process_conn(self, conn: Any) -> None:
        self.watcher.add(conn)

    def put_conn(self, conn: Any) -> None:
        conn.exchange.is_over = True
        super().put_conn(conn)

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        logger.log(level, "%s", msg, exc_info=traceback)


def _drain(body: Any) -> None:
    """Read the rest of a request's body: on a persistent connection the next request follows it."""
    with suppress(MaxSizeExceeded, OSError, ValueError):
        while body.read(256 * 1024):
            pass
        if isinstance(body, ChunkedRFile):  # trailers after the last chunk would be parsed as the next request
            deque(cast("Any", body).read_trailer_lines(), maxlen=0)


def _is_cross_site(request: Request) -> bool:
    """Whether a web page may have caused the request: from another origin, or through DNS rebinding."""
    if "Origin" in request.headers:
        return True
    host = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdigit() else request.host
    if host in ("localhost", ""):
        return False
    try:
        return not ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return True
