"""A collector process that serves the page of its store, and what a test sends it."""

from __future__ import annotations

import hashlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from otel_coverage import catalog
from otel_coverage.source import SourceTree
from otel_coverage.store import open_store
from tests.support.commands import clean_environment
from tests.support.spans import TracedSpan

PATIENCE = 120.0
_COMMAND = (sys.executable, "-m", "otel_coverage")
_PORTS = [f"--{name}-endpoint=127.0.0.1:0" for name in ("grpc", "http", "clickhouse")]


@dataclass
class Served:
    """A process that serves a page.

    Attributes:
        process: the process.
        url: the address that it printed, with its token.
        dsn: the store's address.
        otlp: where it takes spans by HTTP; empty where it takes none.
    """

    process: subprocess.Popen[str]
    url: str
    dsn: str
    otlp: str = ""

    @property
    def base(self) -> str:
        """The address without path and token."""
        return self.url.partition("/?")[0]

    @property
    def token(self) -> str:
        """The token."""
        return self.url.partition("token=")[2]

    def get(self, path: str, **headers: str) -> httpx.Response:
        """What it answers to somebody with the token."""
        return httpx.get(
            self.base + path, headers={"Authorization": f"Bearer {self.token}", **headers}, timeout=PATIENCE
        )

    def wait_for(self, is_reached: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The status, once it is as asked for; AssertionError after `PATIENCE` seconds."""
        deadline = time.monotonic() + PATIENCE
        while True:
            status: dict[str, Any] = self.get("/status.json").json()
            if is_reached(status):
                return status
            assert time.monotonic() < deadline, status
            time.sleep(0.1)

    def export(self, *spans: TracedSpan) -> None:
        """Send spans by OTLP, as a traced application does."""
        for span in spans:
            answer = httpx.post(
                f"http://{self.otlp}/v1/traces",
                content=_request(span).SerializeToString(),
                headers={"Content-Type": "application/x-protobuf"},
                timeout=PATIENCE,
            )
            assert answer.status_code == 200, answer.text

    def push_catalog(self, tree: SourceTree) -> None:
        """Push a tree's catalog at revision ``abc``."""
        with open_store(self.dsn, via_collector=True) as store:
            catalog.push(store, catalog.build(tree), "abc")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; returns the exit code."""
        self.process.send_signal(number)
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@contextmanager
def collecting(folder: Path) -> Iterator[Served]:
    """A collector of a store in a folder, which serves the page, too."""
    dsn = f"chdb://{folder}/store"
    with _serving("collect", "--store", dsn, *_PORTS, "--serve=127.0.0.1:0") as (process, lines):
        otlp = re.search(r"listening on (\S+) \(OTLP/HTTP\)", "".join(lines))
        assert otlp is not None, lines
        yield Served(process, _url(lines), dsn, otlp[1])


@contextmanager
def reporting(dsn: str, *options: str) -> Iterator[Served]:
    """``otel-coverage report --serve``."""
    with _serving("report", "--store", dsn, "--serve=127.0.0.1:0", *options) as (process, lines):
        yield Served(process, _url(lines), dsn)


@contextmanager
def _serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    with subprocess.Popen(
        [*_COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean_environment(),
    ) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while line := process.stdout.readline():
                lines.append(line)
                if line.startswith("ready; "):
                    break
            assert process.poll() is None, lines
            yield process, lines
        finally:
            process.terminate()  # it deletes the files that it wrote for who asked
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()


def _url(lines: list[str]) -> str:
    return next(line.split()[-1] for line in lines if line.startswith("the report: "))


def _request(span: TracedSpan) -> ExportTraceServiceRequest:
    begin, trace, identity, parent, name, _, service, resource, attributes, duration, _ = span.row("otelcol")
    message = Span(
        trace_id=_digest(trace, 16),
        span_id=_digest(identity, 8),
        parent_span_id=_digest(parent, 8) if parent else b"",
        name=name,
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=begin,
        end_time_unix_nano=begin + duration,
        attributes=_pairs(attributes),
    )
    described = Resource(attributes=_pairs({"service.name": service, **resource}))
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=described, scope_spans=[ScopeSpans(spans=[message])])]
    )


def _pairs(values: dict[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in values.items()]


def _digest(name: str, size: int) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:size]
