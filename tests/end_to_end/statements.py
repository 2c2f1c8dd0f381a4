"""The statements of the dashboards, asked of the store of two nights as Grafana asks them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from dashboards.__main__ import every
from dashboards.model import Dashboard, Json
from tests.end_to_end import two_nights
from tests.end_to_end.grafana import expanded

Rows = list[dict[str, Any]]

_KNOWN = """
SELECT m.revision AS revision, symbol, exemplar_trace_id AS trace
FROM coverage_matrix AS m
WHERE m.revision = {revision:String} AND profile = 'month-end' AND qualname = 'OrderBook.move'
"""
_NOW = datetime.now(timezone.utc)
RANGE = (_NOW - timedelta(days=3), _NOW + timedelta(days=1))


@dataclass(frozen=True)
class Asked:
    """A statement of a dashboard.

    Attributes:
        where: the dashboard and the panel or variable.
        sql: as Grafana has it.
        columns: that the panel refers to.
    """

    where: str
    sql: str
    columns: frozenset[str]


def _asked(dashboard: Dashboard) -> Iterator[Asked]:
    document = dashboard.json()
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            yield Asked(f"{dashboard.uid} ${variable['name']}", variable["query"]["rawSql"], frozenset())
    for panel in document["panels"]:
        yield Asked(f"{dashboard.uid} {panel['title']}", panel["targets"][0]["rawSql"], frozenset(_columns(panel)))


def _columns(panel: Json) -> Iterator[str]:
    yield from (override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"])
    options = panel["options"]
    if "reduceOptions" in options:
        yield options["reduceOptions"]["fields"].strip("/^$")
    if "xField" in options:
        yield options["xField"]
    if panel["type"] == "timeseries":
        yield "time"
    labelled = panel["fieldConfig"]["defaults"].get("displayName", "")
    if labelled:
        yield labelled.removeprefix("${__field.labels.").removesuffix("}")


EVERY = [asked for dashboard in every() for asked in _asked(dashboard)]


def about_both_nights(store: Path) -> dict[str, Rows]:
    """Statement → rows: about the later night, or, where it has none, about the night before."""
    (found,) = two_nights.answers(store, {"known": _KNOWN})["known"]
    values = {"namespace": "", "service": "", "module": "", "profile": "month-end", "base": two_nights.BASE} | found
    statements = {asked.sql: expanded(asked.sql, values, *RANGE) for asked in EVERY}
    rows = two_nights.answers(store, statements)
    values["revision"] = two_nights.BASE
    unanswered = {sql: expanded(sql, values, *RANGE) for sql, found in rows.items() if not found}
    return rows | two_nights.answers(store, unanswered)
