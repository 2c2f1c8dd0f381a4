"""Every panel and variable of the dashboards, asked of the engine as Grafana asks it, about the demo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dashboards.__main__ import every
from dashboards.model import Dashboard, Json
from tests.end_to_end import two_nights
from tests.end_to_end.grafana import expanded

_KNOWN = """
SELECT m.revision AS revision, symbol, exemplar_trace_id AS trace
FROM coverage_matrix AS m
WHERE m.revision = {revision:String} AND profile = 'month-end' AND qualname = 'OrderBook.move'
"""
_NOW = datetime.now(timezone.utc)
_RANGE = (_NOW - timedelta(days=3), _NOW + timedelta(days=1))

Rows = list[dict[str, Any]]


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


@pytest.fixture(scope="module")
def answers(two_nights_store: Path) -> Mapping[str, Rows]:
    """Statement → rows: about the later night, or, where it has none, about the night before."""
    store = two_nights_store
    (found,) = two_nights.answers(store, {"known": _KNOWN})["known"]
    values = {"namespace": "", "service": "", "module": "", "profile": "month-end", "base": two_nights.BASE} | found
    statements = {asked.sql: expanded(asked.sql, values, *_RANGE) for asked in EVERY}
    rows = two_nights.answers(store, statements)
    values["revision"] = two_nights.BASE
    unanswered = {sql: expanded(sql, values, *_RANGE) for sql, found in rows.items() if not found}
    return rows | two_nights.answers(store, unanswered)


@pytest.mark.parametrize("asked", EVERY, ids=[asked.where for asked in EVERY])
def test_a_dashboards_statement_has_rows_with_the_columns_that_it_shows(
    answers: Mapping[str, Rows], asked: Asked
) -> None:
    rows = answers[asked.sql]
    assert rows, "no rows"
    assert asked.columns <= rows[0].keys(), asked.columns - rows[0].keys()


@pytest.mark.parametrize(
    ("where", "column", "value"),
    [
        ("otel-coverage-overview Functions executed", "percent", 79.39),
        ("otel-coverage-overview Functions", "functions_covered", 104),
        ("otel-coverage-overview Doubtful runs", "doubtful", 0),
        ("otel-coverage-profile Functions", "functions", 68),
        ("otel-coverage-symbol State", "state", "executed"),
        ("otel-coverage-entry-points Reached by no profile", "missed", 2),
        ("otel-coverage-overhead Recordings", "recordings", 38),
        ("otel-coverage-overhead Bytes for each recording", "bytes_each", 80_000 / 38),
    ],
)
def test_a_figure_is_that_of_the_demo(answers: Mapping[str, Rows], where: str, column: str, value: object) -> None:
    (asked,) = [asked for asked in EVERY if asked.where == where]
    assert answers[asked.sql][0][column] == value


def test_the_functions_of_a_trace_are_those_that_the_store_parsed(
    two_nights_store: Path, answers: Mapping[str, Rows]
) -> None:
    (asked,) = [asked for asked in EVERY if asked.where == "otel-coverage-trace Functions"]
    shown = {row["symbol"] for row in answers[asked.sql]}
    stored = two_nights.answers(
        two_nights_store,
        {
            "profile": "SELECT DISTINCT concat(module, ':', qualname, '@', toString(line)) AS symbol "
            "FROM coverage_functions WHERE revision = {revision:String} AND profile = 'month-end'"
        },
    )["profile"]
    assert shown == {row["symbol"] for row in stored}


def test_a_value_cannot_change_the_statement() -> None:
    """Neither by quotes, nor by backslashes, nor by another variable's or macro's text."""
    value = "x\\' OR '' = '' UNION ALL SELECT $__fromTime, ${revision:percentencode} -- %27"
    sql = expanded("SELECT decodeURLComponent('${profile:percentencode}')", {"profile": value}, *_RANGE)
    assert sql.count("'") == 2
    assert "\\" not in sql
    assert "toDateTime" not in sql
