"""OTLP: traces over gRPC, and over HTTP as protobuf or JSON, compressed or not."""

from __future__ import annotations

import base64
import binascii
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from cheroot.errors import MaxSizeExceeded
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from werkzeug import Request, Response

from otel_coverage.collecting.bodies import BodyError, BodyTooLargeError, read_body
from otel_coverage.collecting.servers import Endpoint
from otel_coverage.collecting.writer import SpanWriter
from otel_coverage.errors import ConfigurationError

PATH = "/v1/traces"
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_THREADS = 32  # gRPC: each holds one request until its spans are stored
MAX_REQUESTS = 64  # gRPC: in progress and queued; more are refused

_SHUTDOWN_TIMEOUT = 30.0  # seconds
_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_IDS = ("traceId", "spanId", "parentSpanId")

# google.rpc.Code
_INVALID_ARGUMENT, _UNIMPLEMENTED, _UNAVAILABLE = 3, 12, 14


class GrpcServer:
    """OTLP over gRPC. Binds its endpoint when it is constructed; serves between :meth:`start` and :meth:`stop`.

    Args:
        endpoint: where to listen.
        option: the command-line option of this endpoint, for messages.

    Raises:
        ConfigurationError: the endpoint cannot be bound.
    """

    def __init__(self, endpoint: Endpoint, option: str) -> None:
        endpoint.check(option)
        self._server = grpc.server(
            ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="otel-coverage-otlp"),
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),  # a second collector would silently get every other connection
            ],
            maximum_concurrent_rpcs=MAX_REQUESTS,
        )
        try:
            port = self._server.add_insecure_port(str(endpoint))
        except RuntimeError as error:  # bound by another process since the check
            raise ConfigurationError(f"cannot listen on {endpoint}: {error}") from error
        self.endpoint = Endpoint(endpoint.host, port)

    def start(self, spans: SpanWriter) -> None:
        """Serve the trace service."""
        add_TraceServiceServicer_to_server(_TraceService(spans), self._server)  # type: ignore[no-untyped-call]
        self._server.start()

    def stop(self) -> None:
        """Refuse new requests and answer those in progress."""
        self._server.stop(_SHUTDOWN_TIMEOUT).wait()


class _TraceService(TraceServiceServicer):
    def __init__(self, spans: SpanWriter) -> None:
        self._spans = spans

    def Export(  # noqa: N802 - the protocol's name
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        """Store the request's spans, then respond."""
        try:
            self._spans.write(request)
        except Exception as error:
            # never RESOURCE_EXHAUSTED, not even for a full queue: some clients do not retry it
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        return ExportTraceServiceResponse()


class OtlpApplication:
    """OTLP over HTTP. Responds after the spans are stored; on 503 clients retry."""

    def __init__(self, spans: SpanWriter) -> None:
        self._spans = spans

    def __call__(self, request: Request) -> Response:
        """Handle one request."""
        kind = _JSON if request.mimetype == _JSON else _PROTOBUF
        if request.path != PATH:
            return _error(404, _UNIMPLEMENTED, f"no such path; traces are accepted at {PATH}", kind)
        if request.method != "POST":
            return _error(405, _UNIMPLEMENTED, "method not allowed; use POST", kind)
        if request.mimetype not in (_PROTOBUF, _JSON):
            return _error(415, _INVALID_ARGUMENT, f"unsupported Content-Type; use {_PROTOBUF} or {_JSON}", kind)
        try:
            message = _parse(b"".join(read_body(request, MAX_MESSAGE_BYTES)), kind)
        except (BodyTooLargeError, MaxSizeExceeded):
            return _error(413, _INVALID_ARGUMENT, f"the request is larger than {MAX_MESSAGE_BYTES} bytes", kind)
        except (BodyError, DecodeError, ParseError, ValueError, RecursionError) as error:
            return _error(400, _INVALID_ARGUMENT, f"not an ExportTraceServiceRequest: {error}", kind)
        try:
            self._spans.write(message)
        except Exception as error:
            return _error(503, _UNAVAILABLE, str(error), kind)
        return Response(_serialize(ExportTraceServiceResponse(), kind), content_type=kind)


def _parse(body: bytes, kind: str) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    if kind == _PROTOBUF:
        message.ParseFromString(body)
    else:
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("the JSON document is not an object")
        _convert_ids(document)
        ParseDict(document, message, ignore_unknown_fields=True)
    return message


def _convert_ids(node: Any) -> None:
    """Convert ids in place, from OTLP/JSON's hexadecimal to base64, which protobuf's JSON mapping expects."""
    if isinstance(node, dict):
        for key in _IDS:
            if isinstance(node.get(key), str):
                try:
                    node[key] = base64.b64encode(bytes.fromhex(node[key])).decode()
                except (ValueError, binascii.Error) as error:
                    raise ValueError(f"{key} is not hexadecimal") from error
        for value in node.values():
            _convert_ids(value)
    elif isinstance(node, list):
        for value in node:
            _convert_ids(value)


def _error(http: int, code: int, message: str, kind: str) -> Response:
    response = Response(_serialize(Status(code=code, message=message), kind), status=http, content_type=kind)
    if http == 503:
        response.headers["Retry-After"] = "1"
    return response


def _serialize(message: Message, kind: str) -> bytes:
    serialized: bytes = (
        message.SerializeToString() if kind == _PROTOBUF else MessageToJson(message, indent=None).encode()
    )
    return serialized
