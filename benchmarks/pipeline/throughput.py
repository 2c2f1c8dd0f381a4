"""How many spans a second go from the SDK through the collector into ClickHouse, and where the time goes."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.pipeline.processes import START_TIMEOUT, environment_of, private_folder, start_collector
from benchmarks.pipeline.spans import ended
from otel_coverage.collecting.rows import COLUMNS, TABLE, rows_of
from otel_coverage.demo.example import Example
from otel_coverage.demo.processes import Child, Supervisor
from otel_coverage.framing import framed
from otel_coverage.store import Store, open_store, schema
from otel_coverage.tracing.export.encoding import encode_request

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_ROOT = Path(__file__).parent.parent.parent
_STORED = "SELECT count() FROM coverage_spans WHERE run = 'benchmark'"
TOGETHER = 10  # messages in an insert
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Throughput:
    """What two processes sent through the collector.

    Attributes:
        spans: that they ended.
        stored: that the store held at the end.
        seconds: from the first until all were stored.
        producing: CPU seconds of the processes that sent.
        collecting: CPU seconds of the collector.
        memory: MB that the collector held, by seconds since the start.
    """

    spans: int = 0
    stored: int = 0
    seconds: float = 0.0
    producing: float = 0.0
    collecting: float = 0.0
    memory: list[tuple[float, float]] = field(default_factory=list)


def measure(seconds: float, functions: int, rate: float = 0.0) -> Throughput:
    """Send for some time, and wait until all is stored.

    Args:
        seconds: to send.
        functions: of a span.
        rate: spans a second of each of the two processes; 0 for as many as are accepted.
    """
    example = Example.find()
    measured = Throughput()
    with private_folder() as folder, Supervisor(folder) as supervisor:
        environment = environment_of(example, folder) | {"OTEL_COVERAGE_ENABLED": "1", "OTEL_COVERAGE_SPOOL": "off"}
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = start_collector(supervisor, folder, environment)
        collector = supervisor.children[-1]
        before, began = _cpu(collector), time.monotonic()
        command = [sys.executable, "-m", "benchmarks.pipeline.producer", str(rate), str(seconds), str(functions)]
        producers = [supervisor.start(f"producer-{number}", command, environment) for number in range(2)]
        while any(producer.running for producer in producers):
            time.sleep(min(1.0, seconds / 20))
            collector.check()
            measured.memory.append((time.monotonic() - began, _resident(collector)))
        for producer in producers:
            figures = json.loads(producer.wait_for(r'^\{"ended".*\}$', START_TIMEOUT)[0])
            measured.spans += figures["ended"]
            measured.producing += figures["cpu"]
        with open_store(f"chdb://{folder / 'store'}", read_only=True) as store:
            last = time.monotonic()  # at which more had been stored
            while measured.stored < measured.spans and time.monotonic() - last < START_TIMEOUT:
                stored = store.query(_STORED).rows[0][0]
                if stored > measured.stored:
                    measured.stored, last = stored, time.monotonic()
                time.sleep(0.05)
        measured.seconds = time.monotonic() - began
        measured.collecting = _cpu(collector) - before
    return measured


def shares(functions: int, spans: int = 100, repeats: int = 5) -> dict[str, float]:
    """Milliseconds a span of each part, one after the other in one process, the best of some repeats.

    Args:
        functions: of a span.
        spans: in one message, which gRPC's servers accept up to 4 MiB; ten messages are inserted together.
        repeats: of each part.
    """
    of_sdk = ended(spans, functions)
    data = encode_request(of_sdk)
    figures = {"encode": _best(lambda: encode_request(of_sdk), repeats)}
    with _acknowledging() as address, grpc.insecure_channel(address) as channel:
        export: Any = channel.unary_unary(_EXPORT)
        figures["gRPC"] = _best(lambda: export(data, timeout=60), repeats)
    with tempfile.TemporaryDirectory(dir=Path.home()) as temporary:
        file = os.open(Path(temporary, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        def append() -> None:
            os.write(file, framed(data))
            os.fdatasync(file)

        figures["log"] = _best(append, repeats)
        os.close(file)
        figures["rows"] = _best(lambda: list(rows_of(ExportTraceServiceRequest.FromString(data))), repeats)
        rows = list(rows_of(ExportTraceServiceRequest.FromString(encode_request(ended(spans * TOGETHER, functions)))))
        with open_store(f"chdb://{temporary}/store", create=True) as store:
            schema.apply(store)
            whole = _best(lambda: store.insert(TABLE, COLUMNS, rows), repeats) / TOGETHER
            _detach(store)
            figures["insert"] = _best(lambda: store.insert(TABLE, COLUMNS, rows), repeats) / TOGETHER
            figures["views"] = whole - figures["insert"]
    return {name: seconds / spans * 1000 for name, seconds in figures.items()}


def _detach(store: Store) -> None:
    store.command(f"DROP VIEW {schema.INTAKE}")


def _best(action: Callable[[], object], repeats: int) -> float:
    def timed() -> Iterator[float]:
        for _ in range(repeats):
            began = time.perf_counter()
            action()
            yield time.perf_counter() - began

    return min(timed())


@contextmanager
def _acknowledging() -> Iterator[str]:
    """The address of a collector that acknowledges at once, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder, Supervisor(Path(folder)) as supervisor:
        script = str(_ROOT / "benchmarks" / "playback" / "acknowledging.py")
        child = supervisor.start("acknowledging", [sys.executable, script], os.environ)
        yield child.wait_for(r"^listening on (\S+) ", START_TIMEOUT)[1]


def _cpu(child: Child) -> float:
    fields = Path(f"/proc/{child.process.pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:13])) / _TICKS


def _resident(child: Child) -> float:
    for line in Path(f"/proc/{child.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
