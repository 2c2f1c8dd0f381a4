"""OTLP: what a request for traces holds, and the HTTP endpoint, for protobuf and JSON, compressed or not."""

from __future__ import annotations

import base64
import binascii
import json
import threading
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

from otel_coverage.collecting.bodies import BodyError, BodyTooLargeError, joined, read_body
from otel_coverage.collecting.otlp_bounds import TooManyElementsError, check_json, check_parsed, check_protobuf
from otel_coverage.collecting.receiver import Receiver

PATH = "/v1/traces"
MAX_MESSAGE_BYTES = 32 * 1024 * 1024  # decompressed

_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_IDS = ("traceId", "spanId", "parentSpanId")

_parsing = threading.Lock()

# google.rpc.Code
_INVALID_ARGUMENT, _UNIMPLEMENTED, _UNAVAILABLE = 3, 12, 14


class OtlpApplication:
    """OTLP over HTTP. Responds after the spans are on disk; on 503 clients retry."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

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
            with self._receiver.memory.request() as share:
                chunks = share.holding(read_body(request, MAX_MESSAGE_BYTES))
                self._receiver.accept(*checked_request(joined(chunks), is_json=kind == _JSON))
        except (BodyTooLargeError, MaxSizeExceeded):
            return _error(413, _INVALID_ARGUMENT, f"the request is larger than {MAX_MESSAGE_BYTES} bytes", kind)
        except TooManyElementsError as error:
            return _error(413, _INVALID_ARGUMENT, str(error), kind)
        except (BodyError, DecodeError, ParseError, ValueError, RecursionError) as error:
            return _error(400, _INVALID_ARGUMENT, f"not an ExportTraceServiceRequest: {error}", kind)
        except Exception as error:
            return _error(503, _UNAVAILABLE, str(error), kind)
        return Response(_serialize(ExportTraceServiceResponse(), kind), content_type=kind)


def checked_request(body: bytes, *, is_json: bool = False) -> tuple[bytes, int]:
    """The request in protobuf, and its number of spans; parsed in one thread at a time, since that takes memory.

    Raises:
        DecodeError, ParseError, ValueError, RecursionError: it is not an ``ExportTraceServiceRequest``.
        TooManyElementsError: it holds too many spans or elements.
    """
    message = ExportTraceServiceRequest()
    with _parsing:
        if not is_json:
            check_protobuf(body)
            message.ParseFromString(body)
        else:
            check_json(body)
            document = json.loads(body)
            if not isinstance(document, dict):
                raise ValueError("the JSON document is not an object")
            _convert_ids(document)
            ParseDict(document, message, ignore_unknown_fields=True)
            body = message.SerializeToString()
        return body, check_parsed(message)


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
