"""Routes, jobs and commands: who asks for them, what runs under them, how long they take, which nobody reaches."""

from __future__ import annotations

from dashboards.model import NONE_WANTED, Column, Dashboard
from dashboards.parts import NAMESPACE, REVISION, SERVICE, bars, stat, table, trace_column
from dashboards.sql import named

_REACHED = """
SELECT uniqExactIf(entry_point, kind = 'request') AS routes, uniqExactIf(entry_point, kind = 'job') AS jobs,
    sum(requests) AS requests
FROM entry_points
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({service:String} = '' OR service = {service:String})
"""

_MISSED = """
SELECT countIf(symbol != '') AS missed, countIf(symbol = '') AS of_libraries
FROM entry_point_gaps
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({service:String} = '' OR service = {service:String})
"""

_EACH = """
SELECT service, kind, entry_point, symbol, profiles, requests, functions, lines, p50_ms, p95_ms, exemplar_trace_id
FROM entry_points
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({service:String} = '' OR service = {service:String})
ORDER BY service, kind, entry_point
"""

_SLOWEST = """
SELECT entry_point, p50_ms, p95_ms
FROM entry_points
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({service:String} = '' OR service = {service:String})
ORDER BY p95_ms DESC, entry_point
LIMIT 15
"""


def dashboard() -> Dashboard:
    """The dashboard of entry points."""
    return Dashboard(
        "otel-coverage-entry-points",
        "routes and jobs",
        "Which routes, jobs and commands profiles reach, and what runs under each.",
        [NAMESPACE, REVISION, SERVICE],
        [
            [
                stat("Routes reached", _REACHED, "routes", width=5),
                stat("Jobs reached", _REACHED, "jobs", width=5),
                stat("Requests and jobs", _REACHED, "requests", width=5),
                stat("Reached by no profile", _MISSED, "missed", thresholds=NONE_WANTED, width=5),
                stat("The same, of libraries", _MISSED, "of_libraries", about="Such as Flask's static files."),
            ],
            [
                table(
                    "Routes, jobs and commands",
                    _EACH,
                    Column("service"),
                    Column("kind"),
                    Column("entry_point"),
                    Column("profiles"),
                    Column("requests"),
                    Column("functions"),
                    Column("lines"),
                    Column("p50_ms", "median", "ms"),
                    Column("p95_ms", "95th percentile", "ms"),
                    trace_column("slowest trace"),
                    height=12,
                )
            ],
            [
                bars(
                    "The slowest",
                    _SLOWEST,
                    "entry_point",
                    Column("p50_ms", "median", "ms"),
                    Column("p95_ms", "95th percentile", "ms"),
                    unit="ms",
                ),
                table(
                    "Routes and jobs that no profile reaches",
                    named("entry-point-gaps"),
                    Column("service"),
                    Column("kind"),
                    Column("entry_point"),
                    Column("symbol"),
                    width=12,
                    height=10,
                    empty="profiles reach all that the services reported",
                ),
            ],
        ],
    )
