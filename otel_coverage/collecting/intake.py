"""The intake: spans of OTLP requests, whatever they came by, into rows of ``otel_traces``."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_coverage.collecting.rows import COLUMNS, TABLE, Row, rows_of
from otel_coverage.collecting.writer import Writer
from otel_coverage.store import Store

# a view that fails after the spans are stored would fail the insert, and every retry would store them once more
SETTINGS = {"materialized_views_ignore_errors": "1"}


class Intake:
    """Takes requests from several threads and returns when their spans are stored.

    Args:
        store: has the schema.
    """

    def __init__(self, store: Store) -> None:
        self._writer: Writer[Row] = Writer(lambda rows: store.insert(TABLE, COLUMNS, rows, SETTINGS))

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Store a request's spans.

        Raises:
            OtelCoverageError: they are not stored; the same request may be taken later.
        """
        rows = list(rows_of(request))
        if rows:
            self._writer.write(rows, request.ByteSize()).result()

    def close(self) -> None:
        """Store what was taken, and take nothing more."""
        self._writer.close()
