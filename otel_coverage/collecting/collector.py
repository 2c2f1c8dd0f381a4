"""The collector: starts and stops its servers around one store."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from otel_coverage.collecting.bodies import MAX_BODY_BYTES
from otel_coverage.collecting.clickhouse.request import Access
from otel_coverage.collecting.log import Log
from otel_coverage.collecting.otlp import MAX_MESSAGE_BYTES, OtlpApplication
from otel_coverage.collecting.otlp_grpc import GrpcServer
from otel_coverage.collecting.receiver import Receiver
from otel_coverage.collecting.servers import Endpoint, HttpServer
from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Dsn, Store
from otel_coverage.store.endpoint_file import EndpointFile
from otel_coverage.store.log_folder import log_folder
from otel_coverage.store.secret import secret_of

if TYPE_CHECKING:
    from typing_extensions import Self

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

    An export is acknowledged when it is on disk, in the log. Where there is no room for it, the response is UNAVAILABLE
    (503 over HTTP), which clients retry. The store gets it from the log, within seconds; queries wait for that.

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
        self._receiver: Receiver | None = None
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
    def receiver(self) -> Receiver:
        """What it accepted, and what became of that.

        Raises:
            RuntimeError: it was not started.
        """
        if self._receiver is None:
            raise RuntimeError("the collector was not started")
        return self._receiver

    def start(self, store: Store, log: Log | None = None) -> None:
        """Accept spans for a store that has the schema; answer queries where it is embedded.

        Args:
            store: the store.
            log: where exports are kept until the store has them, released with the collector; by default the store's.

        Raises:
            ConfigurationError: the ClickHouse endpoint is enabled and the store is not embedded, or the log cannot be
                used.
            StoreError: the store refuses.
        """
        if self._clickhouse is not None:
            check_can_serve(store.dsn)
        receiver = self._receiver = Receiver(log or Log(log_folder(store.dsn)), store)
        stopping = ExitStack()  # in reverse order: first the servers, then the receiver, which inserts what it has
        stopping.callback(receiver.close)
        stopping.push(self._running)
        self._running = stopping
        receiver.start()
        if self._clickhouse is not None:
            self._serve_queries(store, self._clickhouse, receiver)
        if self._http is not None:
            self._http.start(OtlpApplication(receiver))
        if self._grpc is not None:
            self._grpc.start(receiver)

    def stop(self) -> None:
        """Refuse new requests, answer those in progress, insert what was accepted."""
        self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _serve_queries(self, store: Store, server: HttpServer, receiver: Receiver) -> None:
        from otel_coverage.collecting.clickhouse.application import ClickHouseApplication  # they import chDB
        from otel_coverage.collecting.clickhouse.sessions import SessionFactory

        user, password = self._access.user, self._access.password
        if password is None:
            password = secret_of(store.dsn.path)
        access = Access(user, password)
        server.start(
            ClickHouseApplication(
                SessionFactory(store, receiver.insert_turn),
                access,
                receiver.wait,
                receiver.note_insert,
                memory=receiver.memory,
            )
        )
        file = EndpointFile(server.endpoint.host, server.endpoint.port, user, password)
        self._running.enter_context(file.written(store.dsn.path))
