"""``python -m tests.collecting.flood KIND PORT SECONDS``: a client that sends as much of one kind as it can."""

from __future__ import annotations

import gzip
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
import httpx

from tests.collecting.test_inserter import a_request, a_span

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LARGE = 30 * 1024 * 1024
STREAMS = 6


def large() -> bytes:
    """Ten spans of three megabytes."""
    message = a_request(*(a_span(f"s{n}", text=os.urandom(LARGE // 20).hex()) for n in range(10)))
    return bytes(message.SerializeToString())


def over_grpc(body: bytes, connections: int, port: int, until: float) -> None:
    """Several requests at once on each of some connections."""

    def send() -> None:
        options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            export: Any = channel.unary_unary(EXPORT)
            while time.monotonic() < until:
                for answer in [export.future(body, timeout=until - time.monotonic() + 1) for _ in range(STREAMS)]:
                    answer.exception()

    in_threads(send, connections)


def over_http(body: bytes, url: str, headers: dict[str, str], until: float) -> None:
    """Requests of 16 clients at once."""

    def send() -> None:
        with httpx.Client(timeout=httpx.Timeout(2.0)) as client:
            while time.monotonic() < until:
                with suppress(httpx.HTTPError):
                    client.post(url, content=body, headers=headers)

    in_threads(send, 16)


def slowly(port: int, until: float) -> None:
    """Clients that say that much comes, and send a little of it now and then."""
    head = f"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LARGE}\r\nContent-Type: application/"
    clients: list[socket.socket] = []
    while len(clients) < 40 and time.monotonic() < until:
        with suppress(OSError):  # in a flood, a connection may take longer
            clients.append(socket.create_connection(("127.0.0.1", port), timeout=1.0))
            clients[-1].sendall(f"{head}x-protobuf\r\n\r\n".encode())
    while time.monotonic() < until:
        for client in clients:
            with suppress(OSError):
                client.sendall(bytes(64 * 1024))
        time.sleep(0.2)


def in_threads(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(kind: str, port: int, seconds: float, password: str = "") -> None:
    """Send until the time is over."""
    until = time.monotonic() + seconds
    traces = f"http://127.0.0.1:{port}/v1/traces"
    protobuf = {"Content-Type": "application/x-protobuf"}
    insert = "INSERT%20INTO%20otel_traces%20(StatusMessage)%20FORMAT%20RowBinary"
    row = b"\x80\x80\x40" + os.urandom(512 * 1024).hex().encode()
    if kind == "grpc-large":
        over_grpc(large(), 4, port, until)
    elif kind == "grpc-gzip":
        over_grpc(gzip.compress(b"\x0a\x00" * (100 * 1024 * 1024), 1), 4, port, until)
    elif kind == "grpc-connections":
        over_grpc(a_request(a_span("s", text="x" * 1000)).SerializeToString(), 100, port, until)
    elif kind == "http-large":
        over_http(large(), traces, protobuf, until)
    elif kind == "http-gzip":
        over_http(gzip.compress(bytes(2**29), 1), traces, protobuf | {"Content-Encoding": "gzip"}, until)
    elif kind == "http-slow":
        slowly(port, until)
    elif kind == "clickhouse":
        credentials = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": password}
        over_http(row * 60, f"http://127.0.0.1:{port}/?query={insert}", credentials, until)
    else:
        raise ValueError(kind)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:])
