"""The collector: starts and stops its servers around one store."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from otel_coverage.collecting.bodies import MAX_BODY_BYTES
from otel_coverage.collecting.clickhouse.request import Access
from otel_coverage.collecting.otlp import MAX_MESSAGE_BYTES, GrpcServer, OtlpApplication
from otel_coverage.collecting.servers import Endpoint, HttpServer
from otel_coverage.collecting.writer import SpanWriter
from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Dsn, Store
from otel_coverage.store.endpoint_file import EndpointFile
from otel_coverage.store.secret import secret_of

# chDB's own databases: in `default` the names of tables are paths of files
_ENGINES_DATABASES = frozenset({"default", "system", "information_schema"})


def check_can_serve(store: Dsn) -> None:
    """Check that queries to a store can be served, by its address.

    Raises:
        ConfigurationError: it is not embedded, or in a database of the engine's own.
    """
    if store.kind != "chdb":
        raise ConfigurationError(
            f"--clickhouse-endpoint serves an embedded store, and {store} is a server; "
            "use --clickhouse-endpoint none and query the server itself"
        )
    if store.database.lower() in _ENGINES_DATABASES:
        raise ConfigurationError(
            f"{store}: the database {store.database!r} belongs to the engine, so it cannot be served; "
            "name another database, or use --clickhouse-endpoint none"
        )


class Collector:
    """Binds its endpoints when it is constructed; serves between :meth:`start` and :meth:`stop`.

    An export is acknowledged after the store has its spans. Where the insert failed, or the write queue is full, the
    response is UNAVAILABLE (503 over HTTP), which clients retry.

    Args:
        grpc: where to listen for OTLP over gRPC; None to disable, as for the other two.
        http: where to listen for OTLP over HTTP.
        clickhouse: where to serve ClickHouse's HTTP interface to an embedded store.
        access: the credentials required there; by default the user ``default`` and the store's own secret.

    Raises:
        ConfigurationError: an endpoint cannot be bound.
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
        self._spans: SpanWriter | None = None
        self._grpc = self._http = self._clickhouse = None
        with ExitStack() as bound:  # closed again when a later endpoint cannot be bound
            if grpc is not None:
                self._grpc = GrpcServer(grpc, "--grpc-endpoint")
                bound.callback(self._grpc.stop)
            if http is not None:
                self._http = HttpServer(http, "--http-endpoint", MAX_MESSAGE_BYTES)
                bound.callback(self._http.stop)
            if clickhouse is not None:
                self._clickhouse = HttpServer(clickhouse, "--clickhouse-endpoint", MAX_BODY_BYTES)
                bound.callback(self._clickhouse.stop)
            self._running = bound.pop_all()

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """Protocol → bound endpoint, for the enabled ones."""
        servers = {"OTLP/gRPC": self._grpc, "OTLP/HTTP": self._http, "ClickHouse HTTP": self._clickhouse}
        return {protocol: server.endpoint for protocol, server in servers.items() if server is not None}

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers of spans that came by OTLP: stored, and not stored, each time they were sent."""
        return (0, 0) if self._spans is None else (self._spans.stored, self._spans.failed)

    def start(self, store: Store) -> None:
        """Accept spans for a store that has the schema; answer queries where it is embedded.

        Raises:
            ConfigurationError: the ClickHouse endpoint is enabled and the store is not embedded.
        """
        spans = self._spans = SpanWriter(store)
        stopping = ExitStack()  # in reverse order: first the servers, then the writer, which stores what is queued
        stopping.callback(spans.close)
        stopping.push(self._running)
        self._running = stopping
        if self._clickhouse is not None:
            self._serve_queries(store, self._clickhouse)
        if self._http is not None:
            self._http.start(OtlpApplication(spans))
        if self._grpc is not None:
            self._grpc.start(spans)

    def stop(self) -> None:
        """Refuse new requests, answer those in progress, store what is queued."""
        self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _serve_queries(self, store: Store, server: HttpServer) -> None:
        check_can_serve(store.dsn)
        from otel_coverage.collecting.clickhouse.application import ClickHouseApplication  # they import chDB
        from otel_coverage.collecting.clickhouse.sessions import SessionFactory

        user, password = self._access.user, self._access.password
        if password is None:
            password = secret_of(store.dsn.path)
        server.start(ClickHouseApplication(SessionFactory(store), Access(user, password)))
        file = EndpointFile(server.endpoint.host, server.endpoint.port, user, password)
        self._running.enter_context(file.written(store.dsn.path))
