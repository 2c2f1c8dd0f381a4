"""Statements over a part of the coverage: over the rows of some services, runs or profiles alone.

A view merges runs and services, so that its rows cannot be filtered by them afterwards. Instead the definitions of the
views that a statement reads are put in front of it as common table expressions, over the tables' rows that are asked
for: the answer is the one of a store that holds nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import NamedTuple

from otel_coverage.store.sql_files import queries_folder, sql_files

# the parameter that holds the names which are asked for, and the column that they stand in
COLUMNS = {"services": "service", "runs": "run", "profiles": "profile"}

_EVERY = frozenset(COLUMNS)
_PLAYED = frozenset({"runs", "profiles"})
_SPANS = "coverage_spans"

# What is narrowed by its own columns, and by which of them; views over it are derived again. What never arrived has no
# service. A call may be answered without its run id, so that what is missing is found among all spans.
_SOURCES = {
    "coverage_functions": ("*", _EVERY),
    "coverage_lines": ("*, lines", _EVERY),
    "coverage_arcs": ("*", _EVERY),
    "coverage_runs": ("*", _PLAYED),
    _SPANS: ("*, session, id, call", _PLAYED),
    "recorded_requests": ("*", _EVERY),
    "recorded_processes": ("*", _EVERY),
    "incomplete_entries": ("*", _EVERY),
    "uncalled_jobs": ("*", _EVERY),
    "missing_requests": ("*", _PLAYED),
    "pending_requests": ("*", _PLAYED),
    # whether anything of a run arrived, and what the run before played, is asked of all of it
    "lost_runs": ("*", _PLAYED),
    "split_runs": ("*", _PLAYED),
    "unplayed_steps": ("*", _PLAYED),
    "unchecked_runs": ("*", _PLAYED),
    "doubtful_runs": ("*", _PLAYED),
    "absent_profiles": ("*, newest_run AS run", _PLAYED),
    "coverage_startup": ("*", frozenset({"services"})),
    "recorded_entries": ("*", _EVERY),
    "queued_functions": ("*", _EVERY),
    "coverage_entry_point_lines": ("*", _EVERY),
    "code_routes": ("*", frozenset({"services"})),
}
# holds the profiles of a run in one row, and the time of their first
_BY_RUN = {"coverage_by_symbol": ("*", frozenset({"runs"}))}
# holds the profiles of a run in one row, of which the others are left out
_INDEX = "coverage_entry_points"
_OF_PROFILES = "* REPLACE (arrayFilter(each -> has({profiles:Array(String)}, each), profiles) AS profiles)"

_DEFINITION = re.compile(
    r"CREATE (?:OR REPLACE VIEW (?P<view>\w+)|MATERIALIZED VIEW IF NOT EXISTS \w+ TO (?P<table>\w+)) AS\n(?P<query>.*)",
    re.DOTALL,
)
_RELATION = re.compile(r"\b(?:FROM|JOIN) (\w+)")


def narrowed(sql: str, parameters: Collection[str], database: str) -> str:
    """The statement over the rows that some of the parameters in :data:`COLUMNS` name."""
    definitions = [f"{name} AS (\n{query}\n)" for name, query in _definitions(sql, parameters, f"{database}.").items()]
    code = "\n".join(line for line in sql.splitlines() if not line.startswith("--")).lstrip()
    if not definitions:
        return code
    if code.startswith("WITH"):
        statement = "WITH\n" + ",\n".join([*definitions, code.removeprefix("WITH")])
    else:
        statement = "WITH\n" + ",\n".join(definitions) + "\n" + code
    # FINAL is for tables: it is in the expression that stands for this one
    return statement.replace(f" {_SPANS} FINAL", f" {_SPANS}") if _PLAYED & set(parameters) else statement


def narrows(sql: str, parameter: str) -> bool:
    """Whether the answer to a statement depends on that parameter."""
    return bool(_definitions(sql, {parameter}, ""))


def _definitions(sql: str, parameters: Collection[str], qualifier: str) -> dict[str, str]:
    """What a statement reads that depends on the parameters, by name, each after those that it reads itself."""
    chosen = frozenset(parameters)
    sources = _SOURCES | (_BY_RUN if chosen == {"runs"} else {})
    found = {
        name: f"SELECT {columns} FROM {qualifier}{name}{' FINAL' if name == _SPANS else ''} "  # noqa: S608 - our names
        f"WHERE {_condition(chosen & narrowing)}"
        for name, (columns, narrowing) in sources.items()
        if chosen & narrowing
    }
    if chosen:
        columns = _OF_PROFILES if "profiles" in chosen else "*"
        rows = _condition(chosen - {"profiles"}) or "true"
        found[_INDEX] = f"SELECT {columns} FROM {qualifier}{_INDEX} WHERE {rows}"  # noqa: S608
    views = _views(queries_folder())
    for name, view in views.items():
        if name not in found and found.keys() & view.relations:
            found[name] = view.query
    needed = set(_RELATION.findall(sql))
    for name in reversed(found):
        if name in needed and name not in sources and name != _INDEX:
            needed |= views[name].relations
    return {name: query for name, query in found.items() if name in needed}


def _condition(parameters: Collection[str]) -> str:
    return " AND ".join(
        f"has({{{parameter}:Array(String)}}, toString({COLUMNS[parameter]}))" for parameter in sorted(parameters)
    )


class _View(NamedTuple):
    query: str
    relations: frozenset[str]  # what it reads


@cache
def _views(folder: Path) -> dict[str, _View]:
    """Each view, and each table that a materialized view fills, in the order of the files."""
    statements = (_DEFINITION.search(statement) for file in sql_files("views") for statement in file.statements)
    return {
        found["view"] or found["table"]: _View(found["query"], frozenset(_RELATION.findall(found["query"])))
        for found in statements
        if found is not None
    }
