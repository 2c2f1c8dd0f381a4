"""What several dashboards use: their variables, kinds of panels, and links from one to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards.model import NEUTRAL, SHARES, WIDTH, Column, Panel, Steps, Variable

NAMESPACE = Variable(
    "namespace",
    "Namespace",
    """
    SELECT DISTINCT namespace AS value, if(namespace = '', 'none', namespace) AS text
    FROM coverage_runs WHERE recorded OR covered ORDER BY namespace
    """,
)
REVISION = Variable(
    "revision",
    "Revision",
    """
    SELECT revision FROM coverage_runs
    WHERE namespace = {namespace:String} AND (recorded OR covered)
    GROUP BY revision ORDER BY max(last_seen) DESC, revision
    """,
)
BASE = Variable(
    "base",
    "Compared with",
    """
    SELECT revision FROM coverage_runs
    WHERE namespace = {namespace:String} AND (recorded OR covered) AND revision != {revision:String}
    GROUP BY revision ORDER BY max(last_seen) DESC, revision
    """,
)
SERVICE = Variable(
    "service",
    "Service",
    """
    SELECT arrayJoin(arrayConcat([''], arraySort(groupUniqArray(toString(service))))) AS value,
        if(value = '', 'all', value) AS text
    FROM coverage_spans
    WHERE namespace = {namespace:String} AND revision = {revision:String} AND role IN ('server', 'consumer', 'process')
    """,
)
PROFILE = Variable(
    "profile",
    "Profile",
    """
    SELECT DISTINCT toString(profile) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision = {revision:String} AND (recorded OR covered)
    ORDER BY 1
    """,
)

_KEPT = "var-datasource=${datasource}&var-namespace=${namespace:percentencode}&var-revision=${revision:percentencode}"


def link(dashboard: str, **variables: str) -> str:
    """The address of another dashboard with the same store, namespace and revision.

    Args:
        dashboard: its uid.
        variables: values of its variables: a column's name, of the row that is clicked.
    """
    more = "".join(f"&var-{name}=${{__data.fields.{column}:percentencode}}" for name, column in variables.items())
    return f"/d/{dashboard}?{_KEPT}{more}"


def profile_column(name: str = "profile") -> Column:
    """A profile's name, which opens its dashboard."""
    return Column(name, link=link("otel-coverage-profile", profile=name))


def symbol_column() -> Column:
    """A symbol, which opens its dashboard."""
    return Column("symbol", link=link("otel-coverage-symbol", symbol="symbol"))


def trace_column(title: str = "exemplar trace") -> Column:
    """The id of a trace, which opens in the trace view."""
    return Column("exemplar_trace_id", title, link=link("otel-coverage-trace", trace="exemplar_trace_id"), width=310)


def stat(
    title: str,
    sql: str,
    value: str,
    *,
    unit: str = "",
    thresholds: Steps = NEUTRAL,
    width: int = 4,
    about: str = "",
    empty: str = "unknown",
) -> Panel:
    """One number, of the column ``value``."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": f"/^{value}$/", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "value",
    }
    return Panel(
        title, "stat", sql, width, 4, about=about, empty=empty, unit=unit, thresholds=thresholds, options=options
    )


def share(title: str, sql: str, value: str, *, width: int = 4, about: str = "") -> Panel:
    """One percentage, red below 50 and green from 80 on."""
    return stat(title, sql, value, unit="percent", thresholds=SHARES, width=width, about=about, empty="no catalog")


def table(
    title: str,
    sql: str,
    *columns: Column,
    width: int = WIDTH,
    height: int = 9,
    about: str = "",
    empty: str = "nothing",
) -> Panel:
    """Rows, with a filter on each column."""
    return Panel(
        title,
        "table",
        sql,
        width,
        height,
        columns,
        about=about,
        empty=empty,
        options={"showHeader": True, "cellHeight": "sm", "footer": {"show": False}},
        custom={"filterable": True, "align": "auto"},
    )


def lines(
    title: str,
    sql: str,
    *columns: Column,
    series: str = "",
    unit: str = "",
    width: int = 12,
    height: int = 8,
    about: str = "",
    empty: str = "nothing in this time",
    thresholds: Steps = NEUTRAL,
    custom: Mapping[str, Any] | None = None,
) -> Panel:
    """Values over time, in a column ``time`` that ascends: a line for each column, or each value of ``series``."""
    return Panel(
        title,
        "timeseries",
        sql,
        width,
        height,
        columns,
        series,
        about,
        empty,
        thresholds,
        unit,
        options={"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        custom={"showPoints": "auto", "lineWidth": 2, "spanNulls": True, **(custom or {})},
    )


def bars(title: str, sql: str, x: str, *columns: Column, unit: str = "", width: int = 12) -> Panel:
    """Bars for each row, named by its column ``x``."""
    return Panel(
        title,
        "barchart",
        sql,
        width,
        10,
        columns,
        unit=unit,
        options={"xField": x, "orientation": "horizontal", "showValue": "auto", "legend": {"showLegend": True}},
    )
