"""The collector: OTLP over gRPC and HTTP in, rows of ``otel_traces`` out, and ClickHouse's HTTP interface to them."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from otel_coverage.collecting.bodies import MAX_BODY_BYTES
from otel_coverage.collecting.clickhouse.access import Access
from otel_coverage.collecting.endpoint import Endpoint
from otel_coverage.collecting.http_server import HttpServer
from otel_coverage.collecting.intake import Intake
from otel_coverage.collecting.otlp_grpc import GrpcServer
from otel_coverage.collecting.otlp_http import MAX_MESSAGE_BYTES, OtlpApplication
from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Store
from otel_coverage.store.endpoint_file import EndpointFile


class Collector:
    """Listens from its making; takes spans and queries between :meth:`start` and :meth:`stop`.

    An export is answered only after the store has taken its spans. Where it has not, or too much waits already, the
    answer is UNAVAILABLE (503 over HTTP), on which clients try again.

    Args:
        grpc: where to listen for OTLP over gRPC; None for nowhere, as in all that follow.
        http: where to listen for OTLP over HTTP.
        clickhouse: where to answer as ClickHouse does, over an embedded store.
        access: who may ask there.

    Raises:
        ConfigurationError: nobody can listen there.
    """

    def __init__(
        self,
        grpc: Endpoint | None = None,
        http: Endpoint | None = None,
        clickhouse: Endpoint | None = None,
        access: Access | None = None,
    ) -> None:
        self._access = access or Access()
        self._running = ExitStack()
        self._grpc = self._http = self._clickhouse = None
        with ExitStack() as listening:  # undone where one of them cannot
            if grpc is not None:
                self._grpc = GrpcServer(grpc, "--grpc-endpoint")
                listening.callback(self._grpc.stop)
            if http is not None:
                self._http = HttpServer(http, "--http-endpoint", MAX_MESSAGE_BYTES)
                listening.callback(self._http.stop)
            if clickhouse is not None:
                self._clickhouse = HttpServer(clickhouse, "--clickhouse-endpoint", MAX_BODY_BYTES)
                listening.callback(self._clickhouse.stop)
            self._running = listening.pop_all()

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """Where it listens, by what for."""
        servers = {"OTLP/gRPC": self._grpc, "OTLP/HTTP": self._http, "ClickHouse HTTP": self._clickhouse}
        return {purpose: server.endpoint for purpose, server in servers.items() if server is not None}

    def start(self, store: Store) -> None:
        """Take spans and write them to a store that has the schema; answer queries over an embedded one.

        Raises:
            ConfigurationError: queries are to be answered, over a store that is not embedded.
        """
        intake = Intake(store)
        stopping = ExitStack()  # undone in reverse order: first nobody writes any more, then what was taken is stored
        stopping.callback(intake.close)
        stopping.push(self._running)
        self._running = stopping
        if self._clickhouse is not None:
            self._answer_queries(store, self._clickhouse)
        if self._http is not None:
            self._http.start(OtlpApplication(intake))
        if self._grpc is not None:
            self._grpc.start(intake)

    def stop(self) -> None:
        """Refuse what is new, write and answer what was received."""
        self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _answer_queries(self, store: Store, server: HttpServer) -> None:
        if store.dsn.kind != "chdb":
            raise ConfigurationError(
                f"{store.dsn}: it answers queries itself; --clickhouse-endpoint none leaves that to it"
            )
        from otel_coverage.collecting.clickhouse.application import ClickHouseApplication  # they import the engine
        from otel_coverage.collecting.clickhouse.engine import Engine

        server.start(ClickHouseApplication(Engine(store), self._access))
        file = EndpointFile(server.endpoint.host, server.endpoint.port, self._access.user, self._access.password)
        self._running.enter_context(file.written(store.dsn.path))
