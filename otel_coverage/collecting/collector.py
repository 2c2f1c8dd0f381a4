"""The collector: OTLP over gRPC in, rows of ``otel_traces`` out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from otel_coverage.collecting.endpoint import Endpoint
from otel_coverage.collecting.rows import COLUMNS, TABLE, Row, rows_of
from otel_coverage.collecting.writer import Writer
from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Store

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_THREADS = 32  # each holds one request until it is stored
MAX_REQUESTS = 64  # at once, those included that wait for a thread; gRPC refuses more

# a view that fails after the spans are stored would fail the insert, and every retry would store them once more
_SETTINGS = {"materialized_views_ignore_errors": "1"}

_GRACE = 30.0  # seconds


class Collector:
    """Listens from its making; takes spans between :meth:`start` and :meth:`stop`.

    An export is answered only after the store has taken its spans. Where it has not, or too much waits already, the
    answer is UNAVAILABLE, on which clients try again.

    Args:
        endpoint: where to listen.

    Raises:
        ConfigurationError: nobody can listen there.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        endpoint.check()
        self._server = grpc.server(
            ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="otel-coverage-otlp"),
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),  # else a second collector would take every other connection, unnoticed
            ],
            maximum_concurrent_rpcs=MAX_REQUESTS,
        )
        try:
            port = self._server.add_insecure_port(str(endpoint))
        except RuntimeError as error:  # somebody was quicker
            raise ConfigurationError(f"cannot listen on {endpoint}: {error}") from error
        self.endpoint = Endpoint(endpoint.host, port)
        self._writer: Writer[Row] | None = None

    def start(self, store: Store) -> None:
        """Take spans and write them to a store that has the schema."""
        self._writer = Writer(lambda rows: store.insert(TABLE, COLUMNS, rows, _SETTINGS))
        add_TraceServiceServicer_to_server(_TraceService(self._writer), self._server)  # type: ignore[no-untyped-call]
        self._server.start()

    def stop(self) -> None:
        """Refuse what is new, write and answer what was received."""
        self._server.stop(_GRACE).wait()
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class _TraceService(TraceServiceServicer):
    def __init__(self, writer: Writer[Row]) -> None:
        self._writer = writer

    def Export(  # noqa: N802 - the protocol's name
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        """Store the request's spans, then answer."""
        rows = list(rows_of(request))
        if rows:
            try:
                self._writer.write(rows, request.ByteSize()).result()
            except (
                Exception
            ) as error:  # not RESOURCE_EXHAUSTED, even where too much waits: not every client retries on that
                context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        return ExportTraceServiceResponse()
