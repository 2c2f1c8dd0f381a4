"""One function or class: who executes it, by which routes and jobs, in which traces."""

from __future__ import annotations

from dashboards.model import Column, Dashboard, Variable
from dashboards.parts import NAMESPACE, REVISION, lines, profile_column, stat, table, trace_column

_SYMBOL = Variable(
    "symbol",
    "Symbol",
    """
    SELECT DISTINCT concat(module, ':', qualname, '@', toString(line)) FROM code_symbols
    WHERE namespace = {namespace:String} AND revision = {revision:String}
    ORDER BY 1
    """,
)

_OWN = """
SELECT kind, file, line, end_line, length(executable_lines) AS executable_lines, functions, functions_covered,
    if(functions = 0, 'nothing to execute', if(functions_covered > 0, 'executed', 'a gap')) AS state
FROM symbol_coverage
WHERE namespace = {namespace:String} AND revision = {revision:String} AND symbol = {symbol:String}
"""

_PROFILES = """
SELECT profile, first_seen, last_seen, exemplar_trace_id
FROM coverage_matrix
WHERE namespace = {namespace:String} AND revision = {revision:String} AND symbol = {symbol:String}
ORDER BY profile
"""

_ENTRY_POINTS = """
SELECT s.service AS service, s.kind AS kind, s.entry_point AS entry_point, s.profiles AS profiles, e.p95_ms AS p95_ms,
    e.exemplar_trace_id AS exemplar_trace_id
FROM symbol_entry_points AS s
LEFT JOIN entry_points AS e USING (namespace, revision, service, kind, entry_point)
WHERE s.namespace = {namespace:String} AND s.revision = {revision:String} AND s.symbol = {symbol:String}
ORDER BY service, kind, entry_point
"""

_RUNS = """
SELECT profile, run, service, first_seen, last_seen, exemplar_trace_id
FROM coverage_functions FINAL
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND concat(module, ':', qualname, '@', toString(line)) = {symbol:String}
ORDER BY last_seen DESC, profile, service
"""

_OVER_REVISIONS = """
SELECT max(last_seen) AS time, max(profile_count) AS profiles
FROM symbol_profiles
WHERE namespace = {namespace:String}
    AND concat(module, ':', qualname) = extract({symbol:String}, '^(.*)@[0-9]+')
GROUP BY revision
HAVING $__timeFilter(time)
ORDER BY time
"""


def dashboard() -> Dashboard:
    """The dashboard of a symbol."""
    return Dashboard(
        "otel-coverage-symbol",
        "symbol",
        "Who executes a function or class, by which routes and jobs, and a trace of each.",
        [NAMESPACE, REVISION, _SYMBOL],
        [
            [
                stat("State", _OWN, "state", width=6),
                stat("Kind", _OWN, "kind"),
                stat("File", _OWN, "file", width=6),
                stat("Executable lines", _OWN, "executable_lines"),
                stat("Its functions executed", _OWN, "functions_covered", about="Of a class: how many of its methods."),
            ],
            [
                table(
                    "Profiles that execute it",
                    _PROFILES,
                    profile_column(),
                    Column("first_seen"),
                    Column("last_seen"),
                    trace_column(),
                    width=12,
                    empty="no profile executes it",
                ),
                lines(
                    "Profiles over revisions",
                    _OVER_REVISIONS,
                    Column("profiles"),
                    height=9,
                    about="Found by module and name: lines move.",
                ),
            ],
            [
                table(
                    "Routes and jobs that lead to it",
                    _ENTRY_POINTS,
                    Column("service"),
                    Column("kind"),
                    Column("entry_point"),
                    Column("profiles"),
                    Column("p95_ms", "95th percentile", "ms"),
                    trace_column("slowest trace"),
                    empty="none",
                )
            ],
            [
                table(
                    "Runs and services in which it was executed",
                    _RUNS,
                    profile_column(),
                    Column("run"),
                    Column("service"),
                    Column("first_seen"),
                    Column("last_seen"),
                    trace_column(),
                )
            ],
        ],
    )
