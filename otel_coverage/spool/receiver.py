"""Whoever receives the spans, over OTLP: by gRPC or HTTP, as the standard variables say.

What is sent are the bytes that were kept, and what comes back is the receiver's own answer: OpenTelemetry's exporters
retry what can never be accepted, and say only whether it went well. The one for gRPC makes the channel here; that for
HTTP differs too much between its releases, and need not be installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import Enum
from functools import partial
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from otel_coverage.errors import ConfigurationError

# what the servers of gRPC in C, Go and Java say, and the one in Rust
_TOO_LARGE = re.compile("larger than max|too large|exceeds maximum", re.IGNORECASE)
_LIMITS = (
    re.compile(r"\(\d+ vs\.? (\d+)\)"),
    re.compile(r"limit is:? (\d+)"),
    re.compile(r"exceeds maximum(?: size| length)?:? (\d+)", re.IGNORECASE),
)


class Outcome(Enum):
    """What became of a message."""

    ACCEPTED = "accepted"
    TOO_LARGE = "too large"  # smaller ones may be accepted
    REFUSED = "refused"  # this one will never be accepted
    FAILED = "failed"  # the receiver has a problem, perhaps with this message
    LATER = "not accepted now"


class Answer(NamedTuple):
    """What the receiver said.

    Attributes:
        outcome: what became of the message.
        detail: for people; empty where all was accepted.
        delay: seconds that the receiver asked to wait; None where it said nothing of that.
        refused: spans of an accepted message that it has refused.
        limit: bytes that a message may have, where the receiver has named them.
    """

    outcome: Outcome
    detail: str = ""
    delay: float | None = None
    refused: int = 0
    limit: int | None = None


class Receiver(Protocol):
    """Receives serialized ``ExportTraceServiceRequest`` messages."""

    def send(self, request: bytes) -> Answer:
        """Send a message, once. Never raises."""

    def close(self) -> None:
        """Close the connection."""


def is_otlp(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment names an exporter of OTLP, which is what a sender can be."""
    return protocol(environ) is not None


def protocol(environ: Mapping[str, str] | None = None) -> str | None:
    """``grpc`` or ``http/protobuf``; None where ``OTEL_TRACES_EXPORTER`` names only others."""
    environ = os.environ if environ is None else environ
    for name in (environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(","):
        if name.strip() in ("otlp_proto_grpc", "otlp_proto_http"):
            return "grpc" if name.strip() == "otlp_proto_grpc" else "http/protobuf"
        if name.strip() == "otlp":
            named = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
            return "http/protobuf" if (named or "grpc").strip() == "http/protobuf" else "grpc"
    return None


def endpoint(environ: Mapping[str, str] | None = None) -> str:
    """Where the environment says that spans go, for people."""
    environ = os.environ if environ is None else environ
    named = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return named or f"http://localhost:{4317 if protocol(environ) == 'grpc' else 4318}"


def connect() -> Receiver:
    """The receiver that this process's environment names.

    Raises:
        ConfigurationError: it names none, or one that cannot be used.
    """
    chosen = protocol()
    if chosen is None:
        named = os.environ.get("OTEL_TRACES_EXPORTER")
        raise ConfigurationError(f"OTEL_TRACES_EXPORTER is {named!r}, expected otlp: a spool is sent over OTLP")
    try:
        if chosen == "grpc":
            return _Grpc()
        # late: it imports urllib.request, for whose import OpenTelemetry's instrumentation of it waits
        from otel_coverage.spool.http_receiver import HttpReceiver

        return HttpReceiver()
    except ImportError as error:
        raise ConfigurationError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {chosen}, whose exporter cannot be imported: {error}"
        ) from error
    except Exception as error:  # a certificate that is not there, an unknown compression, …
        raise ConfigurationError(f"the OTEL_EXPORTER_OTLP_* variables cannot be used: {error}") from error


class _Grpc:
    """Over gRPC."""

    def __init__(self) -> None:
        from grpc import RpcError, StatusCode
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        self._error = RpcError
        self._parse = ExportTraceServiceRequest.FromString
        self._make = partial(OTLPSpanExporter, compression=_grpc_compression())
        self._exporter: Any = self._make()
        self._outcomes = {
            StatusCode.INVALID_ARGUMENT: Outcome.REFUSED,
            StatusCode.INTERNAL: Outcome.FAILED,
            StatusCode.UNKNOWN: Outcome.FAILED,
        }
        self._limited = (StatusCode.RESOURCE_EXHAUSTED, StatusCode.OUT_OF_RANGE)
        self._unavailable = StatusCode.UNAVAILABLE
        self._deadline = StatusCode.DEADLINE_EXCEEDED

    def send(self, request: bytes) -> Answer:
        try:
            message = self._parse(request)
        except Exception as error:  # protobuf's DecodeError
            return Answer(Outcome.REFUSED, f"not a message: {error}")
        try:
            answer = self._exporter._client.Export(
                request=message, metadata=self._exporter._headers, timeout=self._exporter._timeout
            )
        except self._error as error:
            return self._failed(error)
        except Exception as error:
            return Answer(Outcome.LATER, f"{type(error).__name__}: {error}")
        return accepted(answer)

    def _failed(self, error: Any) -> Answer:
        code, said = error.code(), f"{error.code().name}: {error.details()}"
        if code in self._limited and _TOO_LARGE.search(error.details() or ""):
            return Answer(Outcome.TOO_LARGE, said, limit=_limit(error.details()))
        if code in self._outcomes:
            return Answer(self._outcomes[code], said)
        if code is self._unavailable or code is self._deadline:  # a new channel does not wait as the old one would
            self._exporter.shutdown()
            self._exporter = self._make()
        return Answer(Outcome.LATER, said, _grpc_delay(error))

    def close(self) -> None:
        self._exporter.shutdown()


def default_compression(environ: Mapping[str, str] | None = None) -> str:
    """The compression where the standard variables name none: ``gzip``, or ``none`` to a receiver on this machine.

    To compress a span with 500 functions takes 0.75 ms, to read it 0.1 ms, and it gets seven times smaller; to copy it
    over the loopback interface takes 0.01 ms.
    """
    named = endpoint(environ)
    host = urlsplit(named if "//" in named else f"//{named}").hostname or ""
    is_near = named.startswith("unix") or host in ("localhost", "::1") or host.startswith("127.")
    return "none" if is_near else "gzip"


def _grpc_compression() -> Any:
    """As an argument of the exporter; None where it finds a variable itself."""
    from grpc import Compression

    if variable("COMPRESSION") is not None:
        return None
    return Compression.Gzip if default_compression() == "gzip" else Compression.NoCompression


def _limit(detail: str) -> int | None:
    """The bytes that a message may have, from what the receiver said of one that had more."""
    for pattern in _LIMITS:
        found = pattern.search(detail)
        if found is not None:
            return int(found[1])
    return None


def _grpc_delay(error: Any) -> float | None:
    from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]

    try:
        for key, value in error.trailing_metadata() or ():
            if key == "google.rpc.retryinfo-bin":
                delay = RetryInfo.FromString(value).retry_delay
                return float(delay.seconds + delay.nanos / 1e9)
    except Exception:
        return None  # it is not for the receiver to stop us
    return None


def variable(name: str, *, of_traces: bool = False) -> str | None:
    """A setting of the exporter, that of traces before that of all signals; only the former if ``of_traces``."""
    value = os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}")
    return value or (None if of_traces else os.environ.get(f"OTEL_EXPORTER_OTLP_{name}")) or None


def accepted(answer: Any) -> Answer:
    """What an ``ExportTraceServiceResponse`` says."""
    refused = int(answer.partial_success.rejected_spans)
    return Answer(Outcome.ACCEPTED, str(answer.partial_success.error_message) if refused else "", refused=refused)
