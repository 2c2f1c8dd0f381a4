"""OTLP: traces over gRPC, and over HTTP as protobuf or JSON, compressed or not."""

from __future__ import annotations

import base64
import binascii
import json
import threading
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
from werkzeug import Request, Response

from otel_coverage.collecting.bodies import BodyError, BodyTooLargeError, read_body
from otel_coverage.collecting.otlp_bounds import TooManyElementsError, check_json, check_parsed, check_protobuf
from otel_coverage.collecting.servers import Endpoint
from otel_coverage.collecting.writer import SpanWriter
from otel_coverage.errors import ConfigurationError

PATH = "/v1/traces"
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_REQUESTS = 64  # gRPC: in progress, each in a thread until its spans are stored; more are refused
MAX_STREAMS = 64  # gRPC: requests that one client may have open

_REFUSING_THREADS = 8

_SHUTDOWN_TIMEOUT = 30.0  # seconds
_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
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
            # not `maximum_concurrent_rpcs`: it answers RESOURCE_EXHAUSTED, which some clients do not retry
            ThreadPoolExecutor(MAX_REQUESTS + _REFUSING_THREADS, thread_name_prefix="otel-coverage-otlp"),
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_concurrent_streams", MAX_STREAMS),
                ("grpc.so_reuseport", 0),  # a second collector would silently get every other connection
            ],
        )
        try:
            port = self._server.add_insecure_port(str(endpoint))
        except RuntimeError as error:  # bound by another process since the check
            raise ConfigurationError(f"cannot listen on {endpoint}: {error}") from error
        self.endpoint = Endpoint(endpoint.host, port)

    def start(self, spans: SpanWriter) -> None:
        """Serve the trace service."""
        export: Any = grpc.unary_unary_rpc_method_handler(  # it gets bytes: they are checked before they are parsed
            _TraceService(spans).export, response_serializer=ExportTraceServiceResponse.SerializeToString
        )
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Export": export}),))
        self._server.start()

    def stop(self) -> None:
        """Refuse new requests and answer those in progress."""
        self._server.stop(_SHUTDOWN_TIMEOUT).wait()


class _TraceService:
    def __init__(self, spans: SpanWriter) -> None:
        self._spans = spans
        self._free = threading.BoundedSemaphore(MAX_REQUESTS)

    def export(self, body: bytes, context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        """Store the request's spans, then respond."""
        if not self._free.acquire(blocking=False):
            context.abort(grpc.StatusCode.UNAVAILABLE, f"{MAX_REQUESTS} requests are in progress; retry later")
        try:
            self._store(body, context)
        finally:
            self._free.release()
        return ExportTraceServiceResponse()

    def _store(self, body: bytes, context: grpc.ServicerContext) -> None:
        try:
            message = _parse(body, _PROTOBUF)
        except (DecodeError, ValueError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"not an ExportTraceServiceRequest: {error}")
        try:
            self._spans.write(message)
        except Exception as error:
            # never RESOURCE_EXHAUSTED, not even for a full queue: some clients do not retry it
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))


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
        except TooManyElementsError as error:
            return _error(413, _INVALID_ARGUMENT, str(error), kind)
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
        check_protobuf(body)
        message.ParseFromString(body)
    else:
        check_json(body)
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("the JSON document is not an object")
        _convert_ids(document)
        ParseDict(document, message, ignore_unknown_fields=True)
    check_parsed(message)
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
