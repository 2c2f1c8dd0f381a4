"""OTLP over gRPC, bounded in memory whatever is sent.

gRPC for Python reads the message of a unary call before it calls anybody: whatever all clients send at once is in
memory then. So the method is served as one whose requests are a stream, which is the same on the wire: the library
reads a message when it is asked for it, and before that lets a client send no more than a window of it. Messages are
decompressed here, since older versions of the library do that without a bound.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_coverage.collecting.bodies import BodyTooLargeError, decompressed, joined
from otel_coverage.collecting.memory import RequestShare
from otel_coverage.collecting.otlp import MAX_MESSAGE_BYTES, checked_request
from otel_coverage.collecting.receiver import Receiver
from otel_coverage.collecting.servers import Endpoint
from otel_coverage.errors import ConfigurationError, OtelCoverageError

MAX_SENT_BYTES = 32 * 1024 * 1024  # of a message as it is sent, compressed or not
MAX_REQUESTS = 64  # in progress, each in a thread until its spans are on disk; more are refused
MAX_CONNECTIONS = 256
MAX_STREAMS = 32  # requests that one connection may have open; a client keeps others back
MAX_READ = 2  # messages that are read at once, each of up to MAX_SENT_BYTES

_WINDOW = 4 * 1024  # bytes of a message that a client may send before it is read
_IDLE_TIMEOUT = 60.0  # seconds until a connection without requests is closed, which clients open again
_HANDSHAKE_TIMEOUT = 10.0  # seconds
_READ_TIMEOUT = 2.0  # seconds for a message while others wait to be read
_QUEUE_TIMEOUT = 8.0  # seconds that one waits; the exporters' own deadline is 10

_REFUSING_THREADS = 8
_SHUTDOWN_TIMEOUT = 30.0  # seconds
_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"

# how compressed messages begin; an ExportTraceServiceRequest begins with 0x0a, or has no bytes
_ENCODINGS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x78": "deflate"}
_SNAPPY = b"\xff\x06\x00\x00sNaPpY"


class GrpcServer:
    """Binds its endpoint when it is constructed; serves between :meth:`start` and :meth:`stop`.

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
                ("grpc.max_receive_message_length", MAX_SENT_BYTES),
                ("grpc.per_message_decompression", 0),
                ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
                ("grpc.max_concurrent_streams", MAX_STREAMS),
                ("grpc.max_connection_idle_ms", int(_IDLE_TIMEOUT * 1000)),
                ("grpc.server_handshake_timeout_ms", int(_HANDSHAKE_TIMEOUT * 1000)),
                ("grpc.http2.lookahead_bytes", _WINDOW),
                ("grpc.http2.bdp_probe", 0),  # it makes windows grow, to megabytes on loopback
                ("grpc.so_reuseport", 0),  # a second collector would silently get every other connection
            ],
        )
        try:
            port = self._server.add_insecure_port(str(endpoint))
        except RuntimeError as error:  # bound by another process since the check
            raise ConfigurationError(f"cannot listen on {endpoint}: {error}") from error
        self.endpoint = Endpoint(endpoint.host, port)
        self._reading = _Reading()

    def start(self, receiver: Receiver) -> None:
        """Serve the trace service."""
        export: Any = grpc.stream_unary_rpc_method_handler(  # it gets bytes: they are checked before they are parsed
            _TraceService(receiver, self._reading).export,
            response_serializer=ExportTraceServiceResponse.SerializeToString,
        )
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Export": export}),))
        self._server.start()

    def stop(self) -> None:
        """Refuse new requests and answer those in progress, but for clients that are slow to send them."""
        stopped = self._server.stop(_SHUTDOWN_TIMEOUT)
        if not stopped.wait(_READ_TIMEOUT):
            self._reading.cancel()
            stopped.wait()


class _TraceService:
    def __init__(self, receiver: Receiver, reading: _Reading) -> None:
        self._receiver = receiver
        self._free = threading.BoundedSemaphore(MAX_REQUESTS)
        self._reading = reading

    def export(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        """Accept the request's spans, then respond."""
        if not self._free.acquire(blocking=False):
            context.abort(grpc.StatusCode.UNAVAILABLE, f"{MAX_REQUESTS} requests are in progress; retry later")
        try:
            with self._receiver.memory.request() as share:
                with self._reading.turn(context):
                    sent = next(messages, b"")
                    share.add(len(sent))
                self._receiver.accept(*checked_request(_decoded(sent, share)))
        except _UnknownEncodingError as error:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, str(error))
        except BodyTooLargeError:
            details = f"the request is larger than {MAX_MESSAGE_BYTES} bytes when it is decompressed"
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, details)
        except (DecodeError, ValueError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"not an ExportTraceServiceRequest: {error}")
        except Exception as error:
            # never RESOURCE_EXHAUSTED, not even for a full log: some clients do not retry it
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error) or type(error).__name__)
        finally:
            self._free.release()
        return ExportTraceServiceResponse()


class _UnknownEncodingError(OtelCoverageError):
    pass


class _BusyError(OtelCoverageError):
    """Too many messages are being read; the client may retry."""


class _Reading:
    """Lets some messages be read at once. A client that is slow to send its own loses its turn to those who wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._since: dict[grpc.ServicerContext, float] = {}

    @contextmanager
    def turn(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Wait for a turn, and have it for the block.

        Raises:
            OtelCoverageError: there is none in time, or the client has left.
        """
        with self._changed:
            self._wait(context)
            self._since[context] = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                del self._since[context]
                self._changed.notify()

    def cancel(self) -> None:
        """Take their turns from all who have one."""
        with self._changed:
            for reader in self._since:
                reader.cancel()

    def _wait(self, context: grpc.ServicerContext) -> None:
        until = time.monotonic() + _QUEUE_TIMEOUT
        while len(self._since) >= MAX_READ:
            now = time.monotonic()
            if now > until:
                raise _BusyError(f"{MAX_READ} messages are being read; retry later")
            for reader, since in self._since.items():
                if now - since > _READ_TIMEOUT:
                    reader.cancel()  # CANCELLED, which clients retry
            self._changed.wait(0.1)
        if not context.is_active():
            self._changed.notify()
            raise _BusyError("the client has left")


def _decoded(sent: bytes, share: RequestShare) -> bytes:
    """A message, decompressed where it is compressed: the header that says so does not get here."""
    if sent.startswith(_SNAPPY):
        raise _UnknownEncodingError(f"unsupported grpc-encoding snappy; use one of {', '.join(_ENCODINGS.values())}")
    for start, encoding in _ENCODINGS.items():
        if sent.startswith(start):
            return joined(share.holding(decompressed(sent, encoding, MAX_MESSAGE_BYTES)))
    return sent
