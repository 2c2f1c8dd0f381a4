"""Whether spans arrive: what was lost, what waits, what the store holds."""

from __future__ import annotations

from dashboards.model import NONE_WANTED, Column, Dashboard, Steps
from dashboards.parts import NAMESPACE, REVISION, SERVICE, lines, stat, table
from dashboards.sql import named

_SPOOL_FILLS: Steps = ((None, "green"), (67_108_864, "orange"), (201_326_592, "red"))  # of 256 MiB

_ARRIVING = """
SELECT $__timeInterval(started) AS time, toString(role) AS role, uniqExact(id) AS spans
FROM coverage_spans
WHERE namespace = {namespace:String} AND $__timeFilter(started)
    AND ({service:String} = '' OR service = {service:String})
GROUP BY time, role
ORDER BY time, role
"""

_LOST_BY_REASON = """
SELECT incomplete_reason, count() AS losses, uniqExact(run) AS runs, any(incomplete_detail) AS example
FROM missing_coverage
WHERE namespace = {namespace:String} AND $__timeFilter(started)
GROUP BY incomplete_reason
ORDER BY losses DESC, incomplete_reason
"""

_GIVEN_UP = """
SELECT sum(p.dropped) AS dropped, sum(p.recorded) AS recorded
FROM (
    SELECT process, profile, run, max(c.dropped) AS dropped, max(c.recorded) AS recorded
    FROM coverage_spans AS c
    WHERE role = 'counts' AND $__timeFilter(started)
    GROUP BY process, profile, run
) AS p
"""

_BATCHES = """
SELECT countIf(is_whole) AS whole, countIf(NOT is_whole AND kind = 'batch') AS waiting,
    countIf(kind != 'batch') AS faults
FROM (
    SELECT kind, batch, max(whole) AS is_whole
    FROM coverage_batches
    WHERE $__timeFilter(written)
    GROUP BY kind, batch
)
"""

_OUTCOMES = """
SELECT time, outcome, sum(increase) AS spans
FROM (
    SELECT $__timeInterval(TimeUnix) AS time, Attributes['outcome'] AS outcome,
        -- counts are of the whole life of a process: the first one in this time may be of before
        Value - lagInFrame(Value, 1, if(StartTimeUnix < $__fromTime, Value, 0)) OVER points AS increase
    FROM otel_metrics_sum
    WHERE MetricName = 'otel_coverage.spans' AND $__timeFilter(TimeUnix)
        AND ({service:String} = '' OR ServiceName = {service:String})
    WINDOW points AS (
        PARTITION BY ServiceName, ResourceAttributes['service.instance.id'], StartTimeUnix, Attributes['outcome']
        ORDER BY TimeUnix ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
    )
)
GROUP BY time, outcome
ORDER BY time, outcome
"""

_WAITING = """
SELECT $__timeInterval(TimeUnix) AS time,
    concat(ServiceName, ': ', replaceOne(MetricName, 'otel_coverage.', '')) AS what,
    max(Value) AS bytes
FROM otel_metrics_gauge
WHERE MetricName IN ('otel_coverage.queue.size', 'otel_coverage.spool.size') AND $__timeFilter(TimeUnix)
    AND ({service:String} = '' OR ServiceName = {service:String})
GROUP BY time, what
ORDER BY time, what
"""

_WARNINGS = """
SELECT ServiceName AS service, kind, sum(number) AS warnings
FROM (
    SELECT ServiceName, Attributes['kind'] AS kind, max(Value) AS number
    FROM otel_metrics_sum
    WHERE MetricName = 'otel_coverage.warnings' AND $__timeFilter(TimeUnix)
        AND ({service:String} = '' OR ServiceName = {service:String})
    GROUP BY ServiceName, kind, ResourceAttributes['service.instance.id'], StartTimeUnix
)
WHERE number > 0
GROUP BY service, kind
ORDER BY warnings DESC, service, kind
"""


def dashboard() -> Dashboard:
    """The dashboard of the pipeline."""
    return Dashboard(
        "otel-coverage-pipeline",
        "health of the pipeline",
        "Whether spans arrive. Panels of metrics need a meter provider in the application (docs/delivery.md) and the "
        "collector's metrics pipeline (collector-config/otelcol-contrib.metrics.yaml).",
        [NAMESPACE, REVISION, SERVICE],
        [
            [
                stat("Spans given up", _GIVEN_UP, "dropped", thresholds=NONE_WANTED, width=5),
                stat("Requests and jobs recorded", _GIVEN_UP, "recorded", width=5),
                stat("Batches inserted whole", _BATCHES, "whole", width=5, about="Of the embedded collector."),
                stat("Batches not whole", _BATCHES, "waiting", thresholds=NONE_WANTED, width=5),
                stat("Faults of the log", _BATCHES, "faults", thresholds=NONE_WANTED, width=4),
            ],
            [
                lines(
                    "Spans that arrived, by role",
                    _ARRIVING,
                    series="role",
                    custom={"drawStyle": "bars", "fillOpacity": 60, "stacking": {"mode": "normal"}},
                ),
                lines(
                    "Spans, by what became of them",
                    _OUTCOMES,
                    series="outcome",
                    about="As each process counts them: otel_coverage.spans.",
                    empty="no metrics arrived",
                ),
            ],
            [
                lines(
                    "Bytes that wait",
                    _WAITING,
                    series="what",
                    unit="bytes",
                    thresholds=_SPOOL_FILLS,
                    custom={"thresholdsStyle": {"mode": "line"}},
                    about="In memory, and in the spool, which holds 256 MiB by default.",
                    empty="no metrics arrived",
                ),
                table(
                    "Warnings of otel-coverage",
                    _WARNINGS,
                    Column("service"),
                    Column("kind"),
                    Column("warnings"),
                    width=12,
                    height=8,
                    empty="none",
                ),
            ],
            [
                table(
                    "Losses that are known, by reason",
                    _LOST_BY_REASON,
                    Column("incomplete_reason", "reason"),
                    Column("losses"),
                    Column("runs"),
                    Column("example"),
                    width=14,
                    empty="none",
                ),
                table(
                    "What the store holds",
                    named("tables"),
                    Column("table"),
                    Column("rows"),
                    Column("parts"),
                    Column("megabytes", unit="decmbytes"),
                    width=10,
                ),
            ],
        ],
        since="now-24h",
    )
