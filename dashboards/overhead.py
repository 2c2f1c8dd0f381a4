"""What recording costs: the time of its stages, bytes, and requests with and without it."""

from __future__ import annotations

from dashboards.model import Column, Dashboard
from dashboards.parts import NAMESPACE, REVISION, SERVICE, lines, stat, table

_STAGES = """
SELECT time, stage, sum(spent) / sum(number) AS seconds
FROM (
    SELECT $__timeInterval(TimeUnix) AS time, Attributes['stage'] AS stage,
        -- sums are of the whole life of a process: the first one in this time may be of before
        Sum - lagInFrame(Sum, 1, if(StartTimeUnix < $__fromTime, Sum, 0)) OVER points AS spent,
        Count - lagInFrame(Count, 1, if(StartTimeUnix < $__fromTime, Count, 0)) OVER points AS number
    FROM otel_metrics_histogram
    WHERE MetricName = 'otel_coverage.duration' AND $__timeFilter(TimeUnix)
        AND ({service:String} = '' OR ServiceName = {service:String})
    WINDOW points AS (
        PARTITION BY ServiceName, ResourceAttributes['service.instance.id'], StartTimeUnix, Attributes['stage']
        ORDER BY TimeUnix ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
    )
)
GROUP BY time, stage
HAVING sum(number) > 0
ORDER BY time, stage
"""

_SLOW_STAGES = """
SELECT stage, sum(counts) AS calls, sum(sums) AS seconds,
    -- the upper bound of the bucket that the 95th percentile lies in
    arrayFirst(
        (bound, reached) -> reached >= 0.95 * calls,
        arrayPushBack(any(bounds), inf), arrayCumSum(sumForEach(buckets))
    ) AS p95
FROM (
    SELECT Attributes['stage'] AS stage, max(Count) AS counts, max(Sum) AS sums,
        argMax(BucketCounts, TimeUnix) AS buckets, any(ExplicitBounds) AS bounds
    FROM otel_metrics_histogram
    WHERE MetricName = 'otel_coverage.duration' AND $__timeFilter(TimeUnix)
        AND ({service:String} = '' OR ServiceName = {service:String})
    GROUP BY stage, ServiceName, ResourceAttributes['service.instance.id'], StartTimeUnix
)
GROUP BY stage
ORDER BY seconds DESC
"""

_BYTES = """
SELECT sum(p.bytes) AS bytes, sum(p.recordings) AS recordings, bytes / nullIf(recordings, 0) AS bytes_each
FROM (
    SELECT maxIf(Value, MetricName = 'otel_coverage.bytes') AS bytes,
        maxIf(Value, MetricName = 'otel_coverage.recordings') AS recordings
    FROM otel_metrics_sum
    WHERE MetricName IN ('otel_coverage.bytes', 'otel_coverage.recordings') AND $__timeFilter(TimeUnix)
        AND ({service:String} = '' OR ServiceName = {service:String})
    GROUP BY ServiceName, ResourceAttributes['service.instance.id'], StartTimeUnix
) AS p
"""

_BESIDE_OTHERS = """
SELECT ServiceName AS service, SpanName AS span,
    countIf(is_recorded) AS recorded, countIf(NOT is_recorded) AS others,
    round(quantileIf(0.5)(Duration, is_recorded) / 1e6, 3) AS recorded_ms,
    round(quantileIf(0.5)(Duration, NOT is_recorded) / 1e6, 3) AS others_ms,
    round(recorded_ms / others_ms, 2) AS ratio
FROM (
    SELECT ServiceName, SpanName, Duration, mapContains(SpanAttributes, 'playback.profile') AS is_recorded
    FROM otel_traces
    WHERE $__timeFilter(Timestamp) AND SpanKind IN ('Server', 'SPAN_KIND_SERVER', 'server')
        AND ({service:String} = '' OR ServiceName = {service:String})
)
GROUP BY service, span
HAVING recorded > 0 AND others > 0
ORDER BY ratio DESC, service, span
LIMIT 50
"""

_SETS = """
SELECT $__timeInterval(started) AS time, avg(function_count) AS functions, avg(line_count) AS lines
FROM coverage_spans
WHERE namespace = {namespace:String} AND role IN ('server', 'consumer', 'process') AND $__timeFilter(started)
    AND ({service:String} = '' OR service = {service:String})
GROUP BY time
ORDER BY time
"""


def dashboard() -> Dashboard:
    """The dashboard of costs."""
    return Dashboard(
        "otel-coverage-overhead",
        "overhead",
        "What recording costs the application. Stages are of the metric otel_coverage.duration.",
        [NAMESPACE, REVISION, SERVICE],
        [
            [
                stat("Recordings", _BYTES, "recordings", width=8, empty="no metrics arrived"),
                stat("Bytes of spans", _BYTES, "bytes", unit="bytes", width=8, empty="no metrics arrived"),
                stat(
                    "Bytes for each recording", _BYTES, "bytes_each", unit="bytes", width=8, empty="no metrics arrived"
                ),
            ],
            [
                lines("Mean time of a stage", _STAGES, series="stage", unit="s", empty="no metrics arrived"),
                lines("Mean size of what a span carries", _SETS, Column("functions"), Column("lines")),
            ],
            [
                table(
                    "Stages",
                    _SLOW_STAGES,
                    Column("stage"),
                    Column("calls"),
                    Column("seconds", "in all", "s"),
                    Column("p95", "95th percentile, at most", "s"),
                    width=8,
                    empty="no metrics arrived",
                ),
                table(
                    "Requests that are recorded, beside those that are not",
                    _BESIDE_OTHERS,
                    Column("service"),
                    Column("span"),
                    Column("recorded"),
                    Column("others"),
                    Column("recorded_ms", "median, recorded", "ms"),
                    Column("others_ms", "median, others", "ms"),
                    Column("ratio"),
                    width=16,
                    about="The two may be different requests: only benchmarks compare equal ones.",
                    empty="no route was requested both ways",
                ),
            ],
        ],
        since="now-24h",
    )
