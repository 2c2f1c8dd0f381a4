"""Whatever is sent to ``otel-coverage collect``, its memory stays bounded, and others are served afterwards."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from otel_coverage.collecting.otlp import MAX_MESSAGE_BYTES
from otel_coverage.collecting.otlp_grpc import MAX_READ
from otel_coverage.store import Store
from otel_coverage.store.secret import FILE_NAME
from tests.collecting.flood import EXPORT
from tests.collecting.test_collect_command import COMMAND
from tests.collecting.test_collector import PATIENCE, collecting, names, stub_of
from tests.collecting.test_inserter import a_request, a_span

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GIBIBYTE = 1 << 30
SECONDS = 6
LONG = 300.0  # seconds: a flood leaves little of the machine to others
ENDPOINTS = ("--grpc-endpoint", "--http-endpoint", "--clickhouse-endpoint")
FLOODS = [
    ("OTLP/gRPC", ("grpc-large", "grpc-gzip", "grpc-connections")),
    ("OTLP/HTTP", ("http-large", "http-gzip", "http-slow")),
    ("ClickHouse HTTP", ("clickhouse",)),
]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_below_a_gibibyte_whatever_is_sent(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    endpoints = [argument for option in ENDPOINTS for argument in (option, "127.0.0.1:0")]
    command = [*COMMAND, "collect", "--store", dsn, *endpoints]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as collector:
        try:
            ports = ports_of(collector)
            password = (tmp_path / "store" / FILE_NAME).read_text().strip()
            floods = [
                subprocess.Popen(
                    [sys.executable, "-m", "tests.collecting.flood", kind, ports[protocol], str(SECONDS), password]
                )
                for protocol, kinds in FLOODS
                for kind in kinds
            ]
            assert [flood.wait(LONG) for flood in floods] == [0] * len(floods)
            assert collector.poll() is None
            with grpc.insecure_channel(f"127.0.0.1:{ports['OTLP/gRPC']}") as channel:
                export_until_accepted(TraceServiceStub(channel), "last")  # type: ignore[no-untyped-call]
            assert peak_of(collector.pid) < GIBIBYTE
        finally:
            collector.kill()


def test_a_client_that_is_slow_to_send_does_not_keep_others_waiting(store: Store) -> None:
    let_go = threading.Event()

    def nothing() -> Iterator[bytes]:
        let_go.wait(LONG)
        yield b""

    with collecting(store) as collector:
        with grpc.insecure_channel(str(collector.endpoints["OTLP/gRPC"])) as channel, stub_of(collector) as stub:
            export: Any = channel.stream_unary(EXPORT)
            slow = [export.future(nothing()) for _ in range(MAX_READ)]
            export_until_accepted(stub, "s1")
            for answer in slow:
                answer.cancel()
            let_go.set()
        assert collector.receiver.wait(PATIENCE) == 0
    assert names(store) == ["s1"]


@pytest.mark.parametrize("compressed", [gzip.compress, zstd.compress])
def test_a_compressed_message_is_decompressed_up_to_the_limit(
    store: Store, compressed: Callable[[bytes], bytes]
) -> None:
    with collecting(store) as collector:
        with grpc.insecure_channel(str(collector.endpoints["OTLP/gRPC"])) as channel:
            export: Any = channel.unary_unary(EXPORT)
            export(compressed(a_request(a_span("s1")).SerializeToString()), timeout=PATIENCE)
            with pytest.raises(grpc.RpcError) as refused:
                export(compressed(b"\x0a\x00" * (MAX_MESSAGE_BYTES // 2 + 1)), timeout=PATIENCE)
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            with pytest.raises(grpc.RpcError) as cut:
                export(compressed(a_request(a_span("s2")).SerializeToString())[:-12], timeout=PATIENCE)
            assert cut.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert collector.receiver.wait(PATIENCE) == 0
    assert names(store) == ["s1"]


def test_a_compression_that_is_not_supported_is_named(store: Store) -> None:
    with collecting(store) as collector, grpc.insecure_channel(str(collector.endpoints["OTLP/gRPC"])) as channel:
        export: Any = channel.unary_unary(EXPORT)
        with pytest.raises(grpc.RpcError) as refused:
            export(b"\xff\x06\x00\x00sNaPpY", timeout=PATIENCE)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "snappy; use one of gzip, zstd, deflate" in str(refused.value.details())


def ports_of(collector: subprocess.Popen[str]) -> dict[str, str]:
    """Protocol → port, as the collector says when it listens."""
    assert collector.stdout is not None
    ports = {}
    for line in collector.stdout:
        if found := re.fullmatch(r"listening on 127\.0\.0\.1:(\d+) \((.+)\)\n", line):
            ports[found[2]] = found[1]
        if line.startswith("ready;"):
            return ports
    raise AssertionError("the collector has ended")


def export_until_accepted(stub: TraceServiceStub, name: str) -> None:
    until = time.monotonic() + LONG
    while True:
        try:
            stub.Export(a_request(a_span(name)), timeout=PATIENCE, wait_for_ready=True)
            return
        except grpc.RpcError:
            assert time.monotonic() < until
            time.sleep(0.1)


def peak_of(pid: int) -> int:
    """The most bytes that a process has had in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024
