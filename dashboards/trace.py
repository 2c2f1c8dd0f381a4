"""One trace, drawn: what an exemplar opens."""

from __future__ import annotations

from dashboards.model import Column, Dashboard, Panel, Variable
from dashboards.parts import NAMESPACE, REVISION, profile_column, table

_TRACE = Variable("trace", "Trace id")

_SPANS = """
SELECT TraceId AS traceID, SpanId AS spanID, ParentSpanId AS parentSpanID, ServiceName AS serviceName,
    SpanName AS operationName, toUnixTimestamp64Milli(Timestamp) AS startTime, Duration / 1e6 AS duration,
    -- the sets are long, and below
    arrayMap(key -> map('key', key, 'value', SpanAttributes[key]), arrayFilter(
        key -> key NOT IN ('coverage.functions', 'coverage.lines', 'coverage.arcs', 'coverage.routes'),
        mapKeys(SpanAttributes)
    )) AS tags,
    arrayMap(key -> map('key', key, 'value', ResourceAttributes[key]), mapKeys(ResourceAttributes)) AS serviceTags,
    if(StatusCode IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) AS statusCode
FROM otel_traces
WHERE TraceId = {trace:String}
ORDER BY startTime
"""

_ENTRIES = """
SELECT started, toString(role) AS role, toString(service) AS service, name, toString(profile) AS profile,
    duration / 1e6 AS duration, function_count, line_count, complete, incomplete_detail
FROM coverage_spans FINAL
WHERE trace = {trace:String}
ORDER BY started
"""

_FUNCTIONS = """
SELECT SpanName AS span, arrayJoin(
    -- otelcol writes an array of texts, Rotel one of values
    if(JSONType(SpanAttributes['coverage.functions']) = 'Array',
        JSONExtract(SpanAttributes['coverage.functions'], 'Array(String)'),
        arrayMap(value -> JSONExtractString(value, 'stringValue'),
            JSONExtractArrayRaw(SpanAttributes['coverage.functions'], 'values')))
) AS symbol
FROM otel_traces
WHERE TraceId = {trace:String} AND mapContains(SpanAttributes, 'coverage.functions')
ORDER BY Timestamp, symbol
"""


def dashboard() -> Dashboard:
    """The trace view."""
    return Dashboard(
        "otel-coverage-trace",
        "trace",
        "One trace, and what was executed in it. Raw spans are kept for a shorter time than coverage.",
        [NAMESPACE, REVISION, _TRACE],
        [
            [Panel("Spans", "traces", _SPANS, height=14, empty="no such trace, or its spans were deleted")],
            [
                table(
                    "Coverage of its spans",
                    _ENTRIES,
                    Column("started"),
                    Column("role"),
                    Column("service"),
                    Column("name"),
                    profile_column(),
                    Column("duration", unit="ms"),
                    Column("function_count", "functions"),
                    Column("line_count", "lines"),
                    Column("complete"),
                    Column("incomplete_detail", "why not"),
                    width=14,
                    empty="no span of a profile",
                ),
                table("Functions", _FUNCTIONS, Column("span"), Column("symbol"), width=10, empty="none"),
            ],
        ],
    )
