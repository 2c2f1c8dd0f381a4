"""``otel-coverage collect`` in a subprocess."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

PATIENCE = 60.0
COMMAND = [sys.executable, "-m", "otel_coverage"]
ON_A_FREE_PORT = ["--grpc-endpoint", "127.0.0.1:0", "--http-endpoint", "none", "--clickhouse-endpoint", "none"]


@dataclass
class Collecting:
    """A collector process."""

    process: subprocess.Popen[str]
    port: int

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal; returns the exit code and the rest of stdout and stderr."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out + err


@contextmanager
def collecting(dsn: str) -> Iterator[Collecting]:
    arguments = [*COMMAND, "collect", "--store", dsn, *ON_A_FREE_PORT]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            listening = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+) \(OTLP/gRPC\)\n", line)
            assert listening is not None, line
            assert process.stdout.readline() == f"ready; writing to {dsn} until Ctrl-C or SIGTERM\n"
            yield Collecting(process, int(listening[1]))
        finally:
            process.kill()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)


def stored(dsn: str) -> list[str]:
    """The names of all spans in a store that no process has locked."""
    asked = run("query", "--sql", "SELECT SpanName AS name FROM otel_traces", "--store", dsn, "--format", "json")
    assert asked.returncode == 0, asked.stderr
    return [record["name"] for record in json.loads(asked.stdout)]


def send_until_refused(port: int, sender: int, acknowledged: list[str], enough: threading.Semaphore) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = TraceServiceStub(channel)  # type: ignore[no-untyped-call]
        for number in range(100_000):
            name = f"{sender}-{number}"
            scope = ScopeSpans(spans=[Span(name=name)])
            message = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[scope])])
            try:
                stub.Export(message, timeout=PATIENCE)
            except grpc.RpcError:
                return
            acknowledged.append(name)
            enough.release()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_every_acknowledged_span_is_stored_however_the_collector_ended(tmp_path: Path, number: signal.Signals) -> None:
    dsn = f"chdb://{tmp_path}/store"
    acknowledged: list[str] = []
    enough = threading.Semaphore(0)
    with collecting(dsn) as collector:
        senders = [
            threading.Thread(target=send_until_refused, args=(collector.port, sender, acknowledged, enough))
            for sender in range(4)
        ]
        for sender in senders:
            sender.start()
        for _ in range(20):
            assert enough.acquire(timeout=PATIENCE)
        code, output = collector.end(number)
        for sender in senders:
            sender.join()
    found = stored(dsn)
    if number is signal.SIGKILL:
        assert (code, output) == (-number, "")
    else:
        stopped = f"{number.name}: stopping, after the requests in progress\nstopped; stored {len(found)} spans\n"
        assert (code, output) == (0, stopped)
    assert set(acknowledged) <= set(found)
    if number is not signal.SIGKILL:
        assert sorted(found) == sorted(acknowledged)


def test_a_restarted_collector_appends_to_the_same_store(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    acknowledged: list[str] = []
    for sender in range(2):
        enough = threading.Semaphore(0)
        with collecting(dsn) as collector:
            thread = threading.Thread(target=send_until_refused, args=(collector.port, sender, acknowledged, enough))
            thread.start()
            assert enough.acquire(timeout=PATIENCE)
            collector.end(signal.SIGTERM)
            thread.join()
    assert {name.partition("-")[0] for name in stored(dsn)} == {"0", "1"}


def test_the_error_for_a_locked_store_names_the_process_that_holds_it(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    with collecting(dsn) as collector:
        second = run("collect", "--store", dsn, *ON_A_FREE_PORT)
        assert (second.returncode, second.stdout) == (2, "")
        assert second.stderr.startswith(f"otel-coverage: {dsn}: held by process {collector.process.pid} (")
        assert second.stderr.count("\n") == 1


def test_a_port_in_use_is_an_error_before_the_store_is_created(tmp_path: Path) -> None:
    with collecting(f"chdb://{tmp_path}/first") as collector:
        endpoint = f"127.0.0.1:{collector.port}"
        second = run("collect", "--store", f"chdb://{tmp_path}/second", *ON_A_FREE_PORT, "--grpc-endpoint", endpoint)
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == (
        f"otel-coverage: cannot listen on {endpoint}: Address already in use; "
        "set --grpc-endpoint to another address or to none\n"
    )
    assert not (tmp_path / "second").exists()


def test_a_full_disk_is_an_error_of_one_line_before_the_store_is_created(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    refused = run("collect", "--store", dsn, *ON_A_FREE_PORT, "--reserve-bytes", str(1 << 60))
    assert (refused.returncode, refused.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert re.fullmatch(
        rf"otel-coverage: {tmp_path}/store: \d+ bytes are free on its disk, fewer than the {1 << 60} kept free;"
        r" make room, or set --reserve-bytes\n",
        refused.stderr,
    )


def test_the_log_of_an_embedded_store_is_in_its_own_folder(tmp_path: Path) -> None:
    refused = run("collect", "--store", f"chdb://{tmp_path}/store", "--log", f"{tmp_path}/log", *ON_A_FREE_PORT)
    assert (refused.returncode, refused.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert "leave out --log" in refused.stderr


def test_an_address_that_other_machines_can_reach_needs_allow_remote(tmp_path: Path) -> None:
    refused = run("collect", "--store", f"chdb://{tmp_path}/store", "--grpc-endpoint", "0.0.0.0:0")
    assert refused.returncode == 2
    assert refused.stderr == (
        "otel-coverage: endpoint 0.0.0.0:0 is reachable from other machines, and OTLP has no authentication here; "
        "use a loopback address, or add --allow-remote\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["collect"], ["catalog", "push"], ["schema", "apply"], ["report", "--out", "x"]])
def test_a_missing_store_names_the_option_and_the_variable(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OTEL_COVERAGE_STORE"}
    refused = subprocess.run(
        [*COMMAND, *command], capture_output=True, text=True, check=False, timeout=PATIENCE, env=environment
    )
    name = " ".join(word for word in command if word not in ("--out", "x"))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "otel-coverage: Missing option '--store', and OTEL_COVERAGE_STORE is not set; "
        f"see otel-coverage {name} --help\n"
    )
