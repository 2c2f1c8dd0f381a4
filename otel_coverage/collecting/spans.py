"""Spans as they are inserted: each with its row, and what distinguishes it from others."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_coverage.collecting.rows import Row, attributes_as_text, row_of


class Key(NamedTuple):
    """What makes a span the same as another one.

    Attributes:
        trace: its trace's id, in hexadecimal.
        span: its id.
        digest: 64 bits of a digest of the span, its scope and its resource, as they were sent.
    """

    trace: str
    span: str
    digest: int

    @property
    def is_named(self) -> bool:
        """Whether it has an id; spans without one are all different."""
        return bool(self.trace or self.span)


class InsertedSpan(NamedTuple):
    """A span to be inserted."""

    row: Row
    key: Key


def spans_of(request: ExportTraceServiceRequest) -> Iterator[InsertedSpan]:
    """The spans of an OTLP request. No request makes it raise."""
    for resource_spans in request.resource_spans:
        resource = attributes_as_text(resource_spans.resource.attributes)
        service = resource.get("service.name", "")
        of_resource = blake2b(resource_spans.resource.SerializeToString(), digest_size=8)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope
            of_scope = of_resource.copy()
            of_scope.update(scope.SerializeToString())
            for span in scope_spans.spans:
                digest = of_scope.copy()
                digest.update(span.SerializeToString())
                key = Key(span.trace_id.hex(), span.span_id.hex(), int.from_bytes(digest.digest(), "little"))
                yield InsertedSpan(row_of(span, service, resource, scope), key)
