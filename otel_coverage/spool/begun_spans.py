"""Spans of what was begun by processes that are gone."""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_coverage import __version__
from otel_coverage.spool.begun import Begun, take_abandoned
from otel_coverage.spool.kept_resource import kept_resource
from otel_coverage.spool.spool import Spool

ROLE = "begun"


def keep_begun(spool: Spool) -> int:
    """Append a span to the spool for each entry whose process is gone. Returns how many.

    Raises:
        OSError: the folder cannot be read, or has no room.
    """
    kept = 0
    if spool.folder is None:
        return kept
    for begun in take_abandoned(spool.folder):
        if not spool.append(_request(begun, spool.folder)):
            raise OSError(f"{spool.folder} has no room for what was begun")  # the slot stays as it is
        kept += 1
    return kept


def _request(begun: Begun, folder: Path) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add(resource=kept_resource(folder, begun.resource))
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "otel_coverage", __version__
    scope.spans.append(_span(begun))
    serialized: bytes = request.SerializeToString()
    return serialized


def _span(begun: Begun) -> Span:
    start = int(begun.start) if begun.start.isdecimal() else time.time_ns()
    attributes = {
        "playback.profile": begun.profile,
        "playback.run_id": begun.run_id,
        "coverage.role": ROLE,
        "coverage.begun_role": begun.role,
        "coverage.begun_span": begun.span_id,
        "coverage.process": begun.process,
        "process.pid": begun.pid,
    }
    digest = sha256("\0".join(begun).encode()).digest()  # of one that is sent twice the same: it counts once
    return Span(
        trace_id=bytes.fromhex(begun.trace_id) or digest[8:24],  # of its own: it was killed before its trace began
        span_id=digest[:8],
        parent_span_id=bytes.fromhex(begun.parent_id),
        name=begun.name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=start,
        end_time_unix_nano=start,  # when it was killed is not known
        flags=1,
        attributes=[_attribute(key, value) for key, value in attributes.items() if value],
    )


def _attribute(key: str, value: str) -> KeyValue:
    attribute = KeyValue(key=key)
    if key == "process.pid" and value.isdecimal():
        attribute.value.int_value = int(value)
    else:
        attribute.value.string_value = value
    return attribute
