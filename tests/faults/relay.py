"""A script: a relay of OTLP/gRPC between the application and the collector, which misbehaves on command.

It prints its address, then reads commands, one a line, and answers each with ``ok``:

``to HOST:PORT``
    forward to this collector from now on.
``forward``, ``slow SECONDS``, ``refuse CODE``, ``silent``
    forward; wait before forwarding; answer with that gRPC status; answer nothing until the next command.
``late SECONDS``
    forward, and answer only so long after the collector has.
``forget N``
    forward, but answer the next N exports with UNAVAILABLE although the collector accepted them.
``lose N``
    acknowledge the next N exports without forwarding them.
``lose-parts``
    forward exports without the spans that hold parts of requests and jobs.
``twice``
    forward each export twice, as a sender does that did not get the first answer.
``limit BYTES``
    refuse larger exports, as gRPC does; besides one of the others.
``down``, ``up``
    refuse connections; accept them again.

Its journal has a line for each export when it comes (``received``, with the ids of its spans) and when it is answered
(``answered``, with the status).
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.faults.journal import Journal
from tests.support.ports import free_port

_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_DEADLINE = 60.0  # seconds


class Relay(grpc.GenericRpcHandler):
    """Handles every method as a forwarded export."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._numbers = itertools.count(1)
        self._mode, self._value = "forward", ""
        self._changed = threading.Event()
        self._left = 0
        self._limit = 0
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._server: Any = None
        self._port = free_port()  # which nobody takes while it is down
        self.up()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._port}"

    def up(self) -> None:
        """Accept connections, always on the same port."""
        self.down()
        self._server = grpc.server(ThreadPoolExecutor(64), handlers=[self], options=_UNLIMITED)
        self._server.add_insecure_port(self.address)
        self._server.start()

    def down(self) -> None:
        """Close all connections, and the port."""
        if self._server is not None:
            self._server.stop(None).wait()

    def command(self, line: str) -> None:
        """Carry out one command."""
        word, _, value = line.strip().partition(" ")
        if word == "to":
            # a channel to a port where nobody listens waits longer each time it tries
            options = [*_UNLIMITED, ("grpc.max_reconnect_backoff_ms", 200), ("grpc.initial_reconnect_backoff_ms", 50)]
            before, self._channel = self._channel, grpc.insecure_channel(value, options=options)
            if before is not None:
                before.close()
            return
        if word in ("up", "down"):
            getattr(self, word)()
            return
        if word == "limit":
            self._limit = int(value)
            return
        with self._lock:
            self._mode, self._value = word, value
            self._left = int(value) if word in ("forget", "lose") else 0
            self._changed.set()
            self._changed = threading.Event()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """The handler of any call."""
        return grpc.unary_unary_rpc_method_handler(self._export)

    def _export(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        number = next(self._numbers)
        self._journal.note("received", number=number, bytes=len(request), spans=_ids(request))
        status, answer = grpc.StatusCode.UNKNOWN, b""
        try:
            status, answer = self._answer(request)
        finally:
            self._journal.note("answered", number=number, status=status.name)
        if status is not grpc.StatusCode.OK:
            context.abort(status, answer.decode() or "the relay says so")
        return answer

    def _answer(self, request: bytes) -> tuple[grpc.StatusCode, bytes]:
        with self._lock:
            mode, value, changed = self._mode, self._value, self._changed
            counted = self._left > 0
            self._left -= counted
        if 0 < self._limit < len(request):
            details = f"SERVER: Received message larger than max ({len(request)} vs. {self._limit})"
            return grpc.StatusCode.RESOURCE_EXHAUSTED, details.encode()
        if mode == "silent":
            changed.wait()
            return grpc.StatusCode.UNAVAILABLE, b""
        if mode == "refuse":
            return grpc.StatusCode[value], b""
        if mode == "slow":
            changed.wait(float(value))
        if mode == "lose" and counted:
            return grpc.StatusCode.OK, b""
        if mode == "twice":
            self._forward(request)
        status, answer = self._forward(_without_parts(request) if mode == "lose-parts" else request)
        if mode == "late":
            time.sleep(float(value))
        if mode == "forget" and counted:
            return grpc.StatusCode.UNAVAILABLE, b""
        return status, answer

    def _forward(self, request: bytes) -> tuple[grpc.StatusCode, bytes]:
        if self._channel is None:
            return grpc.StatusCode.UNAVAILABLE, b""
        try:
            export: Any = self._channel.unary_unary(_METHOD)
            return grpc.StatusCode.OK, export(request, timeout=_DEADLINE)
        except grpc.RpcError as error:
            return error.code(), b""
        except ValueError:  # its channel was closed meanwhile
            return grpc.StatusCode.UNAVAILABLE, b""


def _ids(request: bytes) -> list[str]:
    message = ExportTraceServiceRequest.FromString(request)
    spans = [span for group in message.resource_spans for scope in group.scope_spans for span in scope.spans]
    return [f"{span.trace_id.hex()}/{span.span_id.hex()}" for span in spans]


def _without_parts(request: bytes) -> bytes:
    message = ExportTraceServiceRequest.FromString(request)
    for group in message.resource_spans:
        for scope in group.scope_spans:
            kept = [span for span in scope.spans if span.name != "coverage.part"]
            del scope.spans[:]
            scope.spans.extend(kept)
    return bytes(message.SerializeToString())


def main() -> None:
    """Relay until the end of the input."""
    relay = Relay(Journal(Path(sys.argv[1])))
    print(relay.address, flush=True)
    for line in sys.stdin:
        relay.command(line)
        print("ok", flush=True)
    relay.down()


if __name__ == "__main__":
    main()
