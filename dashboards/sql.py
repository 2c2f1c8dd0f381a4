"""SQL as Grafana's ClickHouse data source takes it: without parameters, with dashboard variables in their place.

Grafana puts a variable's value into the text of a statement before the engine sees it. Of its formats only
``percentencode`` leaves no character that could end a string literal, so values travel in it and the engine decodes
them: no name that a span brought, and no link that somebody was sent, can change the statement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from otel_coverage.store.named_queries import named_query

_PARAMETER = re.compile(r"\{(\w+):String\}")


def variable(name: str) -> str:
    """The SQL of a dashboard variable's value, a String."""
    return f"decodeURLComponent('${{{name}:percentencode}}')"


def with_variables(sql: str, values: Mapping[str, str] | None = None) -> str:
    """A statement with each parameter ``{name:String}`` replaced.

    Args:
        sql: the statement.
        values: the SQL to put in some parameters' place; all others become the dashboard variable of their name.
    """
    given = values or {}
    return _PARAMETER.sub(lambda found: given.get(found[1]) or variable(found[1]), sql)


def named(name: str, *variables: str) -> str:
    """The query of ``queries/reports/`` of that name, about the dashboard's namespace and revision.

    Args:
        name: the file's name without its suffix.
        variables: its other parameters that are variables of the dashboard; the rest keep their defaults.
    """
    query = named_query(name)
    defaults = {
        parameter.name: f"'{parameter.default}'"
        for parameter in query.parameters
        if parameter.name not in ("namespace", "revision", *variables) and parameter.default is not None
    }
    return with_variables(query.sql, defaults)
