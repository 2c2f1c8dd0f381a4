"""Serves the page of one store on this machine."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from otel_coverage.collecting.servers import Endpoint, HttpServer
from otel_coverage.reporting.page.bundle import bundle
from otel_coverage.reporting.request import ReportRequest
from otel_coverage.reporting.serving.access import Access
from otel_coverage.reporting.serving.application import PageApplication
from otel_coverage.reporting.serving.live import LiveReport

if TYPE_CHECKING:
    from typing_extensions import Self

_THREADS = 8  # a page asks for one thing at a time
_MAX_BODY_BYTES = 1024  # of requests, which need none


class PageServer:
    """Binds its endpoint when it is constructed; serves between :meth:`start` and :meth:`stop`.

    Args:
        endpoint: where to listen.
        request: what the report is about.

    Raises:
        ConfigurationError: the endpoint cannot be bound.
    """

    def __init__(self, endpoint: Endpoint, request: ReportRequest) -> None:
        self._request = request
        self._server = HttpServer(endpoint, "--serve", _MAX_BODY_BYTES, _THREADS)
        self._access = Access(self._server.endpoint.port)
        self._live: LiveReport | None = None

    @property
    def url(self) -> str:
        """The address to open, with its token."""
        return f"http://{self._server.endpoint}/?token={self._access.token}"

    def start(self, dsn: str) -> None:
        """Serve the report of a store.

        Raises:
            OtelCoverageError: it cannot be opened.
        """
        live = LiveReport(dsn, self._request)
        live.check()
        live.start()
        self._live = live
        self._server.start(PageApplication(live, self._access, bundle()))

    def stop(self) -> bool:
        """End; returns whether all has ended: a query in progress is not waited for."""
        self._server.stop()
        return self._live is None or self._live.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
