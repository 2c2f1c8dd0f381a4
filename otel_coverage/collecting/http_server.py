"""An HTTP server in this process, for a few clients on this machine: cheroot, bounded."""

from __future__ import annotations

import ipaddress
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, cast

from cheroot import wsgi
from cheroot.errors import MaxSizeExceeded
from cheroot.server import ChunkedRFile
from werkzeug import Request, Response

from otel_coverage.collecting.endpoint import Endpoint
from otel_coverage.errors import ConfigurationError

Application = Callable[[Request], Response]

MAX_THREADS = 16  # requests that are answered at once; others wait
MAX_WAITING = 64

_MAX_HEADER_BYTES = 256 * 1024  # a query may stand in the URL
_IDLE = 60  # seconds that a client may keep a thread waiting
_GRACE = 30  # seconds

logger = logging.getLogger(__name__)


class HttpServer:
    """Listens from its making; answers between :meth:`start` and :meth:`stop`.

    Args:
        endpoint: where to listen.
        option: which option of the command says so, for the error.
        max_body_bytes: what a request's body may weigh on the wire.

    Raises:
        ConfigurationError: nobody can listen there.
    """

    def __init__(self, endpoint: Endpoint, option: str, max_body_bytes: int) -> None:
        endpoint.check(option)
        self._server = _Server(
            (endpoint.host, endpoint.port),
            None,
            numthreads=2,
            max=MAX_THREADS,
            request_queue_size=MAX_WAITING,
            accepted_queue_size=MAX_WAITING,
            timeout=_IDLE,
            shutdown_timeout=_GRACE,
        )
        self._server.max_request_header_size = _MAX_HEADER_BYTES
        self._server.max_request_body_size = max_body_bytes
        try:
            self._server.prepare()
        except OSError as error:  # somebody was quicker
            raise ConfigurationError(f"cannot listen on {endpoint}: {error}") from error
        self.endpoint = Endpoint(endpoint.host, self._server.bind_addr[1])
        self._thread: threading.Thread | None = None

    def start(self, application: Application) -> None:
        """Answer requests."""
        only_local = self.endpoint.is_loopback

        def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            request = Request(environ)
            if only_local and _comes_from_a_web_page(request):
                response = Response("for programs on this machine, not for web pages\n", 403)
            else:
                response = application(request)
            _read_to_its_end(environ["wsgi.input"])
            return response(environ, start_response)

        self._server.wsgi_app = answer
        self._thread = threading.Thread(target=self._server.serve, name="otel-coverage-http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse what is new, answer what was received."""
        self._server.stop()
        if self._thread is not None:
            self._thread.join()


class _Server(wsgi.Server):
    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        logger.log(level, "%s", msg, exc_info=traceback)


def _read_to_its_end(body: Any) -> None:
    """Leave nothing of a request's body in the way of the next request on that connection."""
    with suppress(MaxSizeExceeded, OSError, ValueError):
        while body.read(256 * 1024):
            pass
        if isinstance(body, ChunkedRFile):  # what follows its last chunk would else be taken for a next request
            deque(cast("Any", body).read_trailer_lines(), maxlen=0)


def _comes_from_a_web_page(request: Request) -> bool:
    """Whether a browser was made to ask: by a page of another origin, or by a name that resolves to this machine."""
    if "Origin" in request.headers:
        return True
    host = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdigit() else request.host
    if host in ("localhost", ""):
        return False
    try:
        return not ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return True
