"""The queries of our materialized views, over some of the spans that are stored."""

from __future__ import annotations

import re
from functools import cache

from otel_coverage.store.layout import TRACES
from otel_coverage.store.sql_files import sql_files

INTAKE_TABLE = "coverage_intake"

_VIEW = re.compile(r"CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+) AS\n(.*)", re.DOTALL)


def intake_query(condition: str, table: str = TRACES) -> tuple[str, str]:
    """What is read from spans.

    Args:
        condition: over the columns of the table.
        table: the one that holds the spans.

    Returns:
        The columns of ``coverage_intake``, with commas between them, and the query that returns them.
    """
    query = _query_into(INTAKE_TABLE).replace(f"FROM {TRACES}\n", f"FROM {table}\n", 1)
    return _columns(), f"SELECT {_columns()} FROM (\n{query}\n  AND {condition}\n)"  # noqa: S608 - our own SQL


def derived_spans(condition: str, table: str = TRACES) -> str:
    """The rows that ``coverage_spans`` has to have of spans.

    Args:
        condition: over the columns of the table.
        table: the one that holds the spans.
    """
    _, intake = intake_query(condition, table)
    return _query_into("coverage_spans").replace(f"FROM {INTAKE_TABLE}", f"FROM ({intake}) AS intake", 1)


@cache
def _query_into(table: str) -> str:
    for file in sql_files("views"):
        for statement in file.statements:
            found = _VIEW.search(statement)
            if found and found[2] == table:
                return found[3]
    raise AssertionError(f"no SQL file creates a materialized view into {table}")


@cache
def _columns() -> str:
    for file in sql_files("schema"):
        if f"CREATE TABLE IF NOT EXISTS {INTAKE_TABLE} (" in file.text:
            return ", ".join(re.findall(r"^    (\w+) ", file.text, re.MULTILINE))
    raise AssertionError(f"no SQL file creates {INTAKE_TABLE}")
