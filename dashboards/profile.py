"""One profile: what it executes, by which routes and jobs, what only it reaches, which others are like it."""

from __future__ import annotations

from dashboards.model import NONE_WANTED, Column, Dashboard
from dashboards.parts import (
    NAMESPACE,
    PROFILE,
    REVISION,
    bars,
    lines,
    profile_column,
    share,
    stat,
    symbol_column,
    table,
    trace_column,
)
from dashboards.sql import named

_OWN = """
SELECT functions, percent, lines_covered, lines_percent, requests, jobs, incomplete_requests
FROM profile_leaderboard
WHERE namespace = {namespace:String} AND revision = {revision:String} AND profile = {profile:String}
"""

_UNIQUE = """
SELECT arrayJoin(symbols) AS symbol
FROM profile_unique
WHERE namespace = {namespace:String} AND revision = {revision:String} AND profile = {profile:String}
ORDER BY symbol
"""

_BY_MODULE = """
SELECT module, count() AS functions
FROM coverage_matrix
WHERE namespace = {namespace:String} AND revision = {revision:String} AND profile = {profile:String}
GROUP BY module
ORDER BY functions DESC, module
LIMIT 25
"""

_OVER_REVISIONS = """
SELECT max(last_seen) AS time, count() AS functions
FROM coverage_matrix
WHERE namespace = {namespace:String} AND profile = {profile:String}
GROUP BY revision
HAVING $__timeFilter(time)
ORDER BY time
"""


def dashboard() -> Dashboard:
    """The dashboard of a profile."""
    return Dashboard(
        "otel-coverage-profile",
        "profile",
        "What one profile executes, by which routes and jobs, and what only it reaches.",
        [NAMESPACE, REVISION, PROFILE],
        [
            [
                share("Of all functions", _OWN, "percent"),
                share("Of all lines", _OWN, "lines_percent"),
                stat("Functions", _OWN, "functions"),
                stat("Requests", _OWN, "requests"),
                stat("Jobs", _OWN, "jobs"),
                stat("Incomplete requests", _OWN, "incomplete_requests", thresholds=NONE_WANTED),
            ],
            [
                bars("Functions by module", _BY_MODULE, "module", Column("functions")),
                lines("Functions over revisions", _OVER_REVISIONS, Column("functions"), height=10),
            ],
            [
                table(
                    "Routes, jobs and commands",
                    named("profile-entry-points", "profile"),
                    Column("service"),
                    Column("kind"),
                    Column("entry_point"),
                    Column("requests"),
                    Column("functions"),
                    Column("p50_ms", "median", "ms"),
                    Column("p95_ms", "95th percentile", "ms"),
                    trace_column("slowest trace"),
                )
            ],
            [
                table(
                    "Functions that it executes",
                    named("matrix", "profile"),
                    symbol_column(),
                    Column("first_seen"),
                    Column("last_seen"),
                    trace_column(),
                    width=16,
                ),
                table(
                    "Reached by no other profile",
                    _UNIQUE,
                    symbol_column(),
                    width=8,
                    empty="others reach all that this profile does",
                ),
            ],
            [
                table(
                    "Other profiles, the most alike first",
                    named("overlap", "profile"),
                    profile_column("other"),
                    Column("shared", "functions of both"),
                    Column("jaccard"),
                    Column("is_subset", "executes all of this one's"),
                    width=12,
                ),
                table(
                    "Runs",
                    named("runs", "profile"),
                    Column("run"),
                    Column("first_seen", "began"),
                    Column("outcome"),
                    Column("missing"),
                    Column("complete"),
                    Column("incomplete_reasons", "reasons"),
                    width=12,
                ),
            ],
        ],
    )
