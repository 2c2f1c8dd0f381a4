"""How much the profiles of a revision execute, how that developed, and whether it can be trusted."""

from __future__ import annotations

from dashboards.model import NONE_WANTED, Column, Dashboard
from dashboards.parts import (
    BASE,
    NAMESPACE,
    REVISION,
    lines,
    link,
    profile_column,
    share,
    stat,
    table,
    trace_column,
)
from dashboards.sql import named

_TOTALS = named("totals")

_DOUBTFUL = """
SELECT countIf(NOT complete OR outcome = 'failed') AS doubtful
FROM profile_runs
WHERE namespace = {namespace:String} AND revision = {revision:String} AND counted
"""

_OVER_REVISIONS = """
SELECT r.time AS time, m.functions AS functions, m.lines AS lines
FROM (
    SELECT revision, max(last_seen) AS time
    FROM coverage_runs
    WHERE namespace = {namespace:String} AND recorded
    GROUP BY revision
    HAVING $__timeFilter(time)
) AS r
INNER JOIN (
    SELECT revision,
        round(100 * sum(functions_covered) / sum(functions_total), 2) AS functions,
        round(100 * sum(lines_covered) / sum(lines_total), 2) AS lines
    FROM module_gaps
    WHERE namespace = {namespace:String} AND revision IN (
        SELECT revision FROM coverage_runs WHERE namespace = {namespace:String} AND $__timeFilter(last_seen)
    )
    GROUP BY revision
) AS m USING (revision)
ORDER BY time
"""

_COMPLETENESS = """
SELECT first_seen AS time, complete_profiles, incomplete_profiles
FROM (
    SELECT run, min(r.first_seen) AS first_seen, countIf(r.complete) AS complete_profiles,
        countIf(NOT r.complete) AS incomplete_profiles
    FROM profile_runs AS r
    WHERE namespace = {namespace:String}
    GROUP BY run
)
WHERE $__timeFilter(time)
ORDER BY time
"""


def dashboard() -> Dashboard:
    """The dashboard that the others start from."""
    return Dashboard(
        "otel-coverage-overview",
        "overview",
        "What the profiles of a revision execute, how it developed, and whether all of it arrived.",
        [NAMESPACE, REVISION, BASE],
        [
            [
                share("Functions executed", _TOTALS, "percent", about="Of those that the catalog has."),
                share("Lines executed", _TOTALS, "lines_percent", about="Of the executable lines in functions."),
                stat("Functions", _TOTALS, "functions_covered"),
                stat("Functions of the catalog", _TOTALS, "functions_total"),
                stat("Run at start", _TOTALS, "functions_at_startup", about="Executed before the first request only."),
                stat(
                    "Doubtful runs",
                    _DOUBTFUL,
                    "doubtful",
                    thresholds=NONE_WANTED,
                    about="Runs that count and failed, or whose coverage did not arrive whole. While there are any, "
                    "a gap may be none.",
                ),
            ],
            [
                lines(
                    "Coverage over revisions",
                    _OVER_REVISIONS,
                    Column("functions", unit="percent"),
                    Column("lines", unit="percent"),
                    unit="percent",
                    about="At the time when each revision was last played.",
                ),
                lines(
                    "Profiles by run",
                    _COMPLETENESS,
                    Column("complete_profiles", "complete"),
                    Column("incomplete_profiles", "incomplete"),
                    custom={"drawStyle": "bars", "fillOpacity": 60, "stacking": {"mode": "normal"}},
                ),
            ],
            [
                table(
                    "Profiles",
                    named("leaderboard"),
                    profile_column(),
                    Column("functions"),
                    Column("percent", "of all functions", "percent", bar=True),
                    Column("lines_percent", "of all lines", "percent", bar=True),
                    Column("requests"),
                    Column("jobs"),
                    Column("runs"),
                    Column("failed_runs"),
                    Column("complete"),
                    Column("last_seen", "last played"),
                    empty="no profile was played at this revision",
                )
            ],
            [
                table(
                    "Modules with the most gaps",
                    named("modules"),
                    Column("module", link=link("otel-coverage-gaps", module="module")),
                    Column("functions_covered", "functions"),
                    Column("functions_total", "of"),
                    Column("percent", unit="percent", bar=True),
                    Column("lines_percent", "lines", "percent", bar=True),
                    width=12,
                    empty="no catalog of this revision: otel-coverage catalog push",
                ),
                table(
                    "Gained and lost since the other revision",
                    named("diff", "base"),
                    Column("change"),
                    Column("module"),
                    Column("qualname", "function"),
                    Column("profiles"),
                    Column("certain", width=80),
                    width=12,
                    empty="nothing changed, or no revision to compare with",
                ),
            ],
            [
                table(
                    "Runs",
                    named("runs"),
                    profile_column(),
                    Column("run"),
                    Column("first_seen", "began"),
                    Column("outcome"),
                    Column("counted"),
                    Column("requests"),
                    Column("jobs"),
                    Column("missing"),
                    Column("pending"),
                    Column("complete"),
                    Column("incomplete_reasons", "reasons"),
                    trace_column(),
                )
            ],
            [
                table(
                    "Requests and jobs whose coverage did not arrive whole",
                    named("incomplete"),
                    profile_column(),
                    Column("run"),
                    Column("kind"),
                    Column("name"),
                    Column("service"),
                    Column("arrived", yes_no=True),
                    Column("counted"),
                    Column("incomplete_reason", "reason"),
                    Column("incomplete_detail", "what happened"),
                    empty="everything arrived",
                )
            ],
        ],
    )
