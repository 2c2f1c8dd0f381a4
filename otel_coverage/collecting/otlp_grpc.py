"""OTLP over gRPC."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

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
from otel_coverage.collecting.intake import Intake
from otel_coverage.errors import ConfigurationError

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_THREADS = 32  # each holds one request until it is stored
MAX_REQUESTS = 64  # at once, those included that wait for a thread; gRPC refuses more

_GRACE = 30.0  # seconds


class GrpcServer:
    """Listens from its making; takes spans between :meth:`start` and :meth:`stop`.

    Args:
        endpoint: where to listen.
        option: which option of the command says so, for the error.

    Raises:
        ConfigurationError: nobody can listen there.
    """

    def __init__(self, endpoint: Endpoint, option: str) -> None:
        endpoint.check(option)
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

    def start(self, intake: Intake) -> None:
        """Take spans."""
        add_TraceServiceServicer_to_server(_TraceService(intake), self._server)  # type: ignore[no-untyped-call]
        self._server.start()

    def stop(self) -> None:
        """Refuse what is new, answer what was received."""
        self._server.stop(_GRACE).wait()


class _TraceService(TraceServiceServicer):
    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def Export(  # noqa: N802 - the protocol's name
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        """Store the request's spans, then answer."""
        try:
            self._intake.take(request)
        except (
            Exception
        ) as error:  # not RESOURCE_EXHAUSTED, even where too much waits: not every client retries on that
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        return ExportTraceServiceResponse()
