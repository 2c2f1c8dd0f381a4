"""What Grafana and its ClickHouse data source make of a statement before the engine sees it.

As documented under "Macros" and "Variable syntax", and as version 4 of the data source does it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

_VARIABLE = re.compile(r"\$\{(\w+):(\w+)\}")
_MACRO = re.compile(r"\$__(\w+?)(?:\(([^()]*)\)|\b)")


def expanded(sql: str, variables: Mapping[str, str], since: datetime, until: datetime, interval: int = 60) -> str:
    """The statement that is sent to the engine.

    Args:
        sql: of a panel or a variable.
        variables: values of the dashboard's variables.
        since: the beginning of the time range.
        until: its end.
        interval: the seconds between two points of a chart.
    """

    def value(found: re.Match[str]) -> str:
        name, form = found.groups()
        assert form == "percentencode", f"{found[0]}: a value could end the text that it is put into"
        return quote(variables[name], safe="")

    def macro(found: re.Match[str]) -> str:
        name, column = found.groups()
        start, end = (f"toDateTime({int(time.timestamp())})" for time in (since, until))
        if name == "timeFilter":
            return f"{column} >= {start} AND {column} <= {end}"
        if name == "timeInterval":
            return f"toStartOfInterval(toDateTime({column}), INTERVAL {interval} second)"
        return {"fromTime": start, "toTime": end, "interval_s": str(interval)}[name]

    statement = _MACRO.sub(macro, _VARIABLE.sub(value, sql))
    assert "$" not in statement, statement
    return statement
