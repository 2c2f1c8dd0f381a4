"""Every panel and variable of the dashboards, asked of the engine as Grafana asks it, about the demo."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from dashboards.__main__ import every
from tests.end_to_end import two_nights
from tests.end_to_end.grafana import expanded
from tests.end_to_end.panels import page
from tests.end_to_end.statements import EVERY, RANGE, Asked, Rows, about_both_nights


@pytest.fixture(scope="module")
def answers(two_nights_store: Path) -> Mapping[str, Rows]:
    """Statement → rows."""
    return about_both_nights(two_nights_store)


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


def test_every_dashboard_can_be_drawn_with_its_rows(answers: Mapping[str, Rows]) -> None:
    """The pictures of the docs: ``make panels``."""
    for dashboard in every():
        drawn = page(dashboard, answers)
        for panel in dashboard.json()["panels"]:
            assert f"<h2>{panel['title']}</h2>{panel['fieldConfig']['defaults']['noValue']}" not in drawn
            assert f"<h2>{panel['title']}</h2>" in drawn


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
    sql = expanded("SELECT decodeURLComponent('${profile:percentencode}')", {"profile": value}, *RANGE)
    assert sql.count("'") == 2
    assert "\\" not in sql
    assert "toDateTime" not in sql
