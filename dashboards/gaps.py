"""What no profile executes, and what of it is new."""

from __future__ import annotations

from dashboards.model import NONE_WANTED, Column, Dashboard, Variable
from dashboards.parts import BASE, NAMESPACE, REVISION, bars, stat, symbol_column, table
from dashboards.sql import named

_MODULE = Variable(
    "module",
    "Module",
    """
    SELECT arrayJoin(arrayConcat([''], arraySort(groupUniqArray(toString(module))))) AS value,
        if(value = '', 'all', value) AS text
    FROM code_symbols
    WHERE namespace = {namespace:String} AND revision = {revision:String}
    """,
)

_NUMBERS = """
SELECT countIf(kind = 'function') AS functions, countIf(kind = 'class') AS classes,
    sumIf(executable_lines, kind = 'function') AS lines, countIf(kind = 'function' AND at_startup) AS at_startup
FROM coverage_gaps
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({module:String} = '' OR module = {module:String})
"""

_DOUBTFUL = """
SELECT countIf(NOT complete OR outcome = 'failed') AS doubtful
FROM profile_runs
WHERE namespace = {namespace:String} AND revision = {revision:String} AND counted
"""

_MODULES = """
SELECT module, functions_total - functions_covered AS missing
FROM module_gaps
WHERE namespace = {namespace:String} AND revision = {revision:String} AND missing > 0
ORDER BY missing DESC, module
LIMIT 25
"""

_GAP = [symbol_column(), Column("kind"), Column("file"), Column("executable_lines", "lines")]


def dashboard() -> Dashboard:
    """The dashboard of gaps."""
    return Dashboard(
        "otel-coverage-gaps",
        "gaps",
        "Functions and classes that no profile executes.",
        [NAMESPACE, REVISION, BASE, _MODULE],
        [
            [
                stat("Functions", _NUMBERS, "functions", width=5),
                stat("Classes", _NUMBERS, "classes", width=5),
                stat("Lines in them", _NUMBERS, "lines", width=5),
                stat("Run at start only", _NUMBERS, "at_startup", width=4),
                stat(
                    "Doubtful runs",
                    _DOUBTFUL,
                    "doubtful",
                    thresholds=NONE_WANTED,
                    width=5,
                    about="While there are any, no gap is certain: what was lost may have executed it.",
                ),
            ],
            [
                bars(
                    "Functions without a profile, by module",
                    _MODULES,
                    "module",
                    Column("missing", "functions"),
                ),
                table(
                    "New or changed since the other revision, and not executed",
                    named("risk", "base"),
                    Column("change"),
                    symbol_column(),
                    Column("file"),
                    Column("at_startup"),
                    width=12,
                    height=10,
                    empty="none, or no revision to compare with",
                ),
            ],
            [
                table(
                    "Gaps",
                    named("gaps", "module"),
                    Column("package"),
                    Column("module"),
                    *_GAP,
                    Column("at_startup"),
                    Column("certain"),
                    height=14,
                    empty="profiles execute everything, or no catalog was pushed: otel-coverage catalog push",
                )
            ],
        ],
    )
