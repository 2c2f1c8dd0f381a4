"""OTLP over HTTP: protobuf or JSON, plain or compressed."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cheroot.errors import MaxSizeExceeded
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from werkzeug import Request, Response

from otel_coverage.collecting.bodies import BodyError, BodyTooLargeError, body_of
from otel_coverage.collecting.intake import Intake

PATH = "/v1/traces"
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_IDS = ("traceId", "spanId", "parentSpanId")

# google.rpc.Code, as gRPC numbers them
_INVALID_ARGUMENT, _UNIMPLEMENTED, _UNAVAILABLE = 3, 12, 14


class OtlpApplication:
    """What ``--http-endpoint`` serves. Answers after the spans are stored; 503 asks the client to try again."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        kind = _JSON if request.mimetype == _JSON else _PROTOBUF
        if request.path != PATH:
            return _refused(404, _UNIMPLEMENTED, f"there is only {PATH}", kind)
        if request.method != "POST":
            return _refused(405, _UNIMPLEMENTED, "spans come by POST", kind)
        if request.mimetype not in (_PROTOBUF, _JSON):
            return _refused(415, _INVALID_ARGUMENT, f"spans come as {_PROTOBUF} or {_JSON}", kind)
        try:
            message = _message(b"".join(body_of(request, MAX_MESSAGE_BYTES)), kind)
        except (BodyTooLargeError, MaxSizeExceeded):
            return _refused(413, _INVALID_ARGUMENT, f"more than {MAX_MESSAGE_BYTES} bytes", kind)
        except (BodyError, DecodeError, ParseError, ValueError, RecursionError) as error:
            return _refused(400, _INVALID_ARGUMENT, f"no trace request: {error}", kind)
        try:
            self._intake.take(message)
        except Exception as error:
            return _refused(503, _UNAVAILABLE, str(error), kind)
        return Response(_written(ExportTraceServiceResponse(), kind), content_type=kind)


def _message(body: bytes, kind: str) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    if kind == _PROTOBUF:
        message.ParseFromString(body)
    else:
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("the document is no object")
        _with_ids_in_base64(document)
        ParseDict(document, message, ignore_unknown_fields=True)
    return message


def _with_ids_in_base64(node: Any) -> None:
    """OTLP's JSON writes ids in hexadecimal, where protobuf's own JSON has base64."""
    if isinstance(node, dict):
        for key in _IDS:
            if isinstance(node.get(key), str):
                try:
                    node[key] = base64.b64encode(bytes.fromhex(node[key])).decode()
                except (ValueError, binascii.Error) as error:
                    raise ValueError(f"{key} is not hexadecimal") from error
        for value in node.values():
            _with_ids_in_base64(value)
    elif isinstance(node, list):
        for value in node:
            _with_ids_in_base64(value)


def _refused(http: int, code: int, message: str, kind: str) -> Response:
    response = Response(_written(Status(code=code, message=message), kind), status=http, content_type=kind)
    if http == 503:
        response.headers["Retry-After"] = "1"
    return response


def _written(message: Message, kind: str) -> bytes:
    written: bytes = message.SerializeToString() if kind == _PROTOBUF else MessageToJson(message, indent=None).encode()
    return written
