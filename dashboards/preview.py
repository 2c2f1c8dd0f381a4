"""A dashboard as a page of its own, with given rows: how its panels look, about, where no Grafana can be run.

It reads Grafana's JSON, so that what is wrong there is seen: columns that are not shown, units, colours of values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from dashboards.model import Json

Rows = Sequence[Mapping[str, Any]]

_CELL = 38  # pixels, as Grafana has them
_COLOURS = {"green": "#3a8f3f", "orange": "#d97706", "red": "#c0392b", "blue": "#2f6fb5"}
_LINES = ("#3a8f3f", "#d97706", "#2f6fb5", "#8e44ad", "#c0392b")
_STYLE = """
body { margin: 12px; background: #f4f5f5; font: 13px/1.4 sans-serif; color: #24292e; width: 1224px }
h1 { font-size: 18px; margin: 0 0 10px }
main { display: grid; grid-template-columns: repeat(24, 1fr); gap: 8px }
section { background: white; border: 1px solid #ddd; border-radius: 3px; padding: 6px 10px; overflow: hidden }
h2 { font-size: 13px; margin: 0 0 4px; font-weight: 600 }
.figure { font-size: 34px; text-align: center; line-height: 80px }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: 2px 8px 2px 0; white-space: nowrap; max-width: 260px; overflow: hidden;
  text-overflow: ellipsis; border-bottom: 1px solid #eee }
th { color: #2f6fb5; font-weight: 500 }
.bar { display: inline-block; height: 10px; margin-right: 6px }
"""


def drawn(dashboard: Json, rows: Mapping[str, Rows]) -> str:
    """The page.

    Args:
        dashboard: Grafana's JSON.
        rows: of each panel, by its title.
    """
    panels = "".join(_panel(panel, rows.get(panel["title"], ())) for panel in dashboard["panels"])
    title = escape(dashboard["title"])
    head = f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    return f"{head}<h1>{title}</h1><main>{panels}</main>"


def _panel(panel: Json, rows: Rows) -> str:
    place = panel["gridPos"]
    style = f"grid-column: {place['x'] + 1} / span {place['w']}; height: {place['h'] * _CELL - 22}px"
    body = _KINDS[panel["type"]](panel, rows) if rows else escape(panel["fieldConfig"]["defaults"]["noValue"])
    return f'<section style="{style}"><h2>{escape(panel["title"])}</h2>{body}</section>'


def _stat(panel: Json, rows: Rows) -> str:
    value = rows[-1][panel["options"]["reduceOptions"]["fields"].strip("/^$")]
    defaults = panel["fieldConfig"]["defaults"]
    colour = _colour(value, defaults["thresholds"])
    return f'<div class=figure style="color: {colour}">{_text(value, defaults.get("unit", ""))}</div>'


def _table(panel: Json, rows: Rows) -> str:
    names = panel["transformations"][0]["options"]["include"]["names"]
    of_columns = {each["matcher"]["options"]: each["properties"] for each in panel["fieldConfig"]["overrides"]}
    settings = {name: {each["id"]: each["value"] for each in of_columns.get(name, ())} for name in names}
    heads = "".join(f"<th>{escape(settings[name].get('displayName', name))}" for name in names)
    lines = "".join(
        f"<tr>{''.join(f'<td>{_cell(row[name], settings[name])}' for name in names)}" for row in rows[: _fitting(panel)]
    )
    return f"<table><tr>{heads}{lines}</table>"


def _cell(value: Any, settings: Mapping[str, Any]) -> str:
    if "mappings" in settings:
        value = bool(value)
    text = _text(value, settings.get("unit", ""))
    if "custom.cellOptions" in settings and value is not None:
        colour = _colour(value, settings["thresholds"])
        return f'<span class=bar style="width: {float(value) * 0.6:.0f}px; background: {colour}"></span>{text}'
    return f'<span style="color: #2f6fb5">{text}</span>' if "links" in settings else text


def _bars(panel: Json, rows: Rows) -> str:
    name = panel["options"]["xField"]
    values = [each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]]
    most = max(float(row[value]) for row in rows for value in values) or 1
    unit = panel["fieldConfig"]["defaults"].get("unit", "")
    lines = [
        f'<tr><td>{escape(str(row[name]))}<td style="max-width: none">'
        + "<br>".join(
            f'<span class=bar style="width: {240 * float(row[value]) / most:.0f}px; background: {colour}"></span>'
            + _text(row[value], unit)
            for value, colour in zip(values, _LINES, strict=False)
        )
        for row in rows[: _fitting(panel)]
    ]
    return f"<table>{''.join(lines)}</table>"


def _chart(panel: Json, rows: Rows) -> str:
    """Points over time, joined; a line for each column, or for each value of the column that names lines."""
    series: dict[str, list[tuple[str, float]]] = {}
    named_by = panel["fieldConfig"]["defaults"].get("displayName", "")
    label = named_by.removeprefix("${__field.labels.").removesuffix("}")
    for row in rows:
        for name, value in row.items():
            if name not in ("time", label) and value is not None:
                series.setdefault(str(row[label]) if label else name, []).append((str(row["time"]), float(value)))
    times = sorted({time for points in series.values() for time, _ in points})
    most = max((value for points in series.values() for _, value in points), default=1) or 1
    unit = panel["fieldConfig"]["defaults"].get("unit", "")
    width, height = panel["gridPos"]["w"] * 49 - 60, panel["gridPos"]["h"] * _CELL - 110
    parts, legend = [], []
    titles = {each["matcher"]["options"]: each["properties"][0]["value"] for each in panel["fieldConfig"]["overrides"]}
    for (name, points), colour in zip(sorted(series.items()), _LINES * 5, strict=False):
        places = [
            (20 + (width - 40) * times.index(time) / max(len(times) - 1, 1), 10 + height * (1 - value / most))
            for time, value in points
        ]
        joined = " ".join(f"{x:.0f},{y:.0f}" for x, y in places)
        dots = "".join(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="{colour}"/>' for x, y in places)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}')
        legend.append(
            f'<span style="color: {colour}">■ {escape(titles.get(name, name))} {_text(points[-1][1], unit)}</span>'
        )
    drawing = f'<svg width="{width}" height="{height + 20}">{"".join(parts)}</svg>'
    return f"{drawing}<div>{' &nbsp; '.join(legend)}</div>"


def _trace(panel: Json, rows: Rows) -> str:
    """A bar for each span, from its start to its end."""
    begin = min(float(row["startTime"]) for row in rows)
    whole = max(float(row["startTime"]) + float(row["duration"]) for row in rows) - begin or 1
    lines = [
        f"<tr><td>{escape(row['serviceName'])}<td>{escape(row['operationName'])}"
        '<td style="max-width: none; width: 640px">'
        f'<span class=bar style="margin-left: {600 * (float(row["startTime"]) - begin) / whole:.0f}px; '
        f'width: {max(2, 600 * float(row["duration"]) / whole):.0f}px; background: {_LINES[2]}"></span>'
        f"{_text(row['duration'], 'ms')}"
        for row in rows[: _fitting(panel)]
    ]
    return f"<table>{''.join(lines)}</table>"


_KINDS: Mapping[str, Callable[[Json, Rows], str]] = {
    "stat": _stat,
    "table": _table,
    "barchart": _bars,
    "timeseries": _chart,
    "traces": _trace,
}


def _fitting(panel: Json) -> int:
    """How many rows a panel has room for."""
    return (int(panel["gridPos"]["h"]) * _CELL - 70) // 24


def _colour(value: Any, thresholds: Json) -> str:
    reached = "blue"
    for step in thresholds["steps"]:
        if step["value"] is None or (isinstance(value, (int, float)) and value >= step["value"]):
            reached = step["color"]
    return _COLOURS[reached]


def _text(value: Any, unit: str) -> str:
    match value, unit:
        case None, _:
            return "–"
        case bool(), _:
            return f'<span style="color: {_COLOURS["green" if value else "red"]}">{"yes" if value else "no"}</span>'
        case list(), _:
            return escape(", ".join(map(str, value)))
        case ((int() | float()), "percent"):
            return f"{value:g} %"
        case ((int() | float()), "s"):
            return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
        case ((int() | float()), "ms"):
            return f"{value:.3g} ms"
        case ((int() | float()), "bytes"):
            return f"{value / 1024:.1f} KiB" if value >= 1024 else f"{value:.0f} B"
        case float(), _:
            return f"{value:g}"
        case _:
            return escape(str(value).removesuffix("+00:00").split(".")[0] if _is_time(str(value)) else str(value))


def _is_time(text: str) -> bool:
    return len(text) > 18 and text[:4].isdigit() and text[4] == "-" and text[10] in "T "
