"""Dashboards, variables and panels, and Grafana's JSON of them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dashboards.sql import with_variables

Json = dict[str, Any]

PLUGIN = "grafana-clickhouse-datasource"
TAG = "otel-coverage"
WIDTH = 24  # columns of Grafana's grid

_SOURCE: Json = {"type": PLUGIN, "uid": "${datasource}"}
_FORMATS = {"timeseries": 0, "table": 1, "traces": 3}  # the data source's own numbers
_SCHEMA = 39  # of Grafana 11's JSON; later releases convert it


@dataclass(frozen=True, slots=True)
class Column:
    """How a column of a table, a figure or a line is shown.

    Attributes:
        name: in the statement.
        title: the heading; empty for the name with spaces.
        unit: one of Grafana's units, such as ``percent`` (0 to 100), ``ms``, ``bytes``; empty for none.
        link: the address that a click opens; ``${__data.fields.NAME}`` stands for another column of the row.
        bar: show a percentage as a bar.
        yes_no: show 1 and 0 as yes and no, as booleans are anyway.
        width: in pixels; 0 for a share of what is left.
    """

    name: str
    title: str = ""
    unit: str = ""
    link: str = ""
    bar: bool = False
    yes_no: bool = False
    width: int = 0

    @property
    def heading(self) -> str:
        """What is shown above it."""
        return self.title or self.name.replace("_", " ")

    def override(self) -> Json:
        """The field's settings."""
        properties: list[Json] = [{"id": "displayName", "value": self.heading}]
        if self.unit:
            properties.append({"id": "unit", "value": self.unit})
        if self.width:
            properties.append({"id": "custom.width", "value": self.width})
        if self.link:
            properties.append({"id": "links", "value": [{"title": "Open", "url": self.link, "targetBlank": False}]})
        if self.yes_no:
            properties.append({"id": "mappings", "value": _yes_no("1", "0")})
        if self.bar:
            properties += [
                {"id": "custom.cellOptions", "value": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}},
                {"id": "min", "value": 0},
                {"id": "max", "value": 100},
                {"id": "thresholds", "value": _thresholds(SHARES)},
            ]
        return {"matcher": {"id": "byName", "options": self.name}, "properties": properties}


Steps = tuple[tuple[float | None, str], ...]  # the value from which a colour holds; None for the lowest

SHARES: Steps = ((None, "red"), (50, "orange"), (80, "green"))  # of percentages
NONE_WANTED: Steps = ((None, "green"), (1, "red"))  # of numbers that should be 0
NEUTRAL: Steps = ((None, "blue"),)


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: its heading.
        kind: Grafana's type of panel.
        sql: the statement; ``{name:String}`` is a dashboard variable.
        width: columns of the grid, of 24.
        height: rows of the grid.
        columns: those that are shown, of a table in this order.
        series: the column of texts whose values name the lines of a chart over time; empty where columns do.
        about: what a reader has to know.
        empty: what is shown where the statement has no rows.
        thresholds: colours of values.
        unit: of all values that no column gives another.
        options: the panel's own options.
        custom: ``fieldConfig.defaults.custom``.
    """

    title: str
    kind: Literal["stat", "table", "timeseries", "barchart", "traces"]
    sql: str
    width: int = WIDTH
    height: int = 9
    columns: Sequence[Column] = ()
    series: str = ""
    about: str = ""
    empty: str = "nothing"
    thresholds: Steps = NEUTRAL
    unit: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] = field(default_factory=dict)

    def json(self, number: int, x: int, y: int) -> Json:
        """Grafana's JSON of it, at a place of the grid."""
        defaults: Json = {
            "noValue": self.empty,
            "thresholds": _thresholds(self.thresholds),
            "mappings": _yes_no("true", "false"),
        }
        if self.series:
            defaults["displayName"] = f"${{__field.labels.{self.series}}}"
        if self.unit:
            defaults["unit"] = self.unit
        if self.custom:
            defaults["custom"] = dict(self.custom)
        return {
            "id": number,
            "title": self.title,
            "description": self.about,
            "type": self.kind,
            "datasource": _SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": defaults, "overrides": [column.override() for column in self.columns]},
            "options": dict(self.options),
            "targets": [_target(self.sql, self.kind if self.kind in _FORMATS else "table")],
            "transformations": self._shown() if self.kind == "table" else [],
        }

    def _shown(self) -> list[Json]:
        """Only the chosen columns, in their order."""
        names = [column.name for column in self.columns]
        return [
            {"id": "filterFieldsByName", "options": {"include": {"names": names}}},
            {"id": "organize", "options": {"indexByName": {name: place for place, name in enumerate(names)}}},
        ]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that is chosen on top of a dashboard.

    Attributes:
        name: in addresses, and in statements as ``{name:String}``.
        label: on the page.
        sql: what can be chosen: a column of values, and perhaps one of texts; empty for a field to write into.
    """

    name: str
    label: str
    sql: str = ""

    def json(self) -> Json:
        """Grafana's JSON of it."""
        common: Json = {"name": self.name, "label": self.label, "hide": 0, "skipUrlSync": False}
        if not self.sql:
            return {**common, "type": "textbox", "query": "", "current": {"text": "", "value": ""}, "options": []}
        return {
            **common,
            "type": "query",
            "datasource": _SOURCE,
            "query": {**_target(self.sql, "table"), "refId": self.name},
            "refresh": 2,  # whenever the time range changes
            "sort": 0,
            "regex": "",
            "multi": False,
            "includeAll": False,
            "current": {},
            "options": [],
        }


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard.

    Attributes:
        uid: in its address, ``/d/UID``, and the name of its file.
        title: its heading.
        about: what it answers.
        variables: what is chosen on top.
        rows: panels from left to right, row by row; each row as wide as the grid.
        since: the beginning of the time range that it opens with.
    """

    uid: str
    title: str
    about: str
    variables: Sequence[Variable]
    rows: Sequence[Sequence[Panel]]
    since: str = "now-90d"

    def json(self) -> Json:
        """Grafana's JSON of it."""
        return {
            "uid": self.uid,
            "title": f"Coverage: {self.title}",
            "description": self.about,
            "tags": [TAG],
            "schemaVersion": _SCHEMA,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "",
            "time": {"from": self.since, "to": "now"},
            "timezone": "utc",
            "links": [_OTHERS],
            "annotations": {"list": []},
            "templating": {"list": [_CHOICE_OF_SOURCE, *(variable.json() for variable in self.variables)]},
            "panels": self._panels(),
        }

    def _panels(self) -> list[Json]:
        placed: list[Json] = []
        y = 0
        for row in self.rows:
            x = 0
            for panel in row:
                placed.append(panel.json(len(placed) + 1, x, y))
                x += panel.width
            if x != WIDTH:
                raise ValueError(f"{self.uid}: the row of {row[0].title!r} is {x} columns wide, not {WIDTH}")
            y += max(panel.height for panel in row)
        return placed


_OTHERS: Json = {
    "title": "Coverage",
    "type": "dashboards",
    "tags": [TAG],
    "asDropdown": True,
    "includeVars": True,
    "keepTime": True,
    "icon": "external link",
}
_CHOICE_OF_SOURCE: Json = {
    "name": "datasource",
    "label": "Store",
    "type": "datasource",
    "query": PLUGIN,
    "refresh": 1,
    "hide": 0,
    "current": {},
    "options": [],
}


def _target(sql: str, form: str) -> Json:
    text = textwrap.dedent(sql).strip()
    return {
        "refId": "A",
        "datasource": _SOURCE,
        "editorType": "sql",
        "queryType": form,
        "format": _FORMATS[form],
        "rawSql": with_variables(text),
    }


def _yes_no(yes: str, no: str) -> list[Json]:
    return [{"type": "value", "options": {yes: {"text": "yes", "color": "green"}, no: {"text": "no", "color": "red"}}}]


def _thresholds(steps: Steps) -> Json:
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}
