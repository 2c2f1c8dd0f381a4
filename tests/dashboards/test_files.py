"""The files that Grafana is provisioned with: written by ``make dashboards`` from ``dashboards/``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from dashboards.__main__ import FOLDER, every, files
from dashboards.model import PLUGIN, WIDTH, Dashboard, Json, Panel
from dashboards.sql import named, with_variables

EVERY = {dashboard.uid: dashboard for dashboard in every()}
PANELS = [
    pytest.param(dashboard, panel, id=f"{uid} {panel.title}")
    for uid, dashboard in EVERY.items()
    for row in dashboard.rows
    for panel in row
]


def test_the_files_are_those_that_the_source_says() -> None:
    """After a change of ``dashboards/`` or ``queries/``: ``make dashboards``."""
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == files()


def test_there_is_a_dashboard_for_each_question() -> None:
    asked = ["overview", "profile", "symbol", "gaps", "entry-points", "pipeline", "overhead", "trace"]
    assert list(EVERY) == [f"otel-coverage-{name}" for name in asked]


@pytest.mark.parametrize("dashboard", EVERY.values(), ids=EVERY)
def test_a_dashboard_has_the_variables_that_it_uses_and_no_two_panels_of_one_name(
    dashboard: Dashboard,
) -> None:
    document = json.dumps(dashboard.json())
    used = set(re.findall(r"\$\{(\w+)[:}]", document)) - {"__field", "__data"}
    names = [variable["name"] for variable in dashboard.json()["templating"]["list"]]
    assert used <= set(names)
    assert len(names) == len(set(names))
    titles = [panel["title"] for panel in dashboard.json()["panels"]]
    assert len(titles) == len(set(titles))
    assert names[:3] == ["datasource", "namespace", "revision"]


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
def test_a_panel_says_what_it_shows_when_nothing_is_there(dashboard: Dashboard, panel: Panel) -> None:
    shown = panel.json(1, 0, 0)
    assert shown["fieldConfig"]["defaults"]["noValue"]
    assert shown["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
    assert shown["datasource"] == shown["targets"][0]["datasource"] == {"type": PLUGIN, "uid": "${datasource}"}


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
def test_a_link_leads_to_a_dashboard_that_has_its_variables(dashboard: Dashboard, panel: Panel) -> None:
    columns = {column.name for column in panel.columns}
    for column in panel.columns:
        if not column.link:
            continue
        address = urlsplit(column.link)
        target = EVERY[address.path.removeprefix("/d/")]
        known = {variable["name"] for variable in target.json()["templating"]["list"]}
        for name, value in parse_qsl(address.query):
            assert name.removeprefix("var-") in known
            of_row = re.fullmatch(r"\$\{__data\.fields\.(\w+):percentencode\}", value)
            assert of_row is None or of_row[1] in columns


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
def test_percentages_times_and_bytes_have_units(dashboard: Dashboard, panel: Panel) -> None:
    for column in panel.columns:
        if "percent" in column.name or column.name.endswith("_ms") or column.name in ("duration", "seconds"):
            assert column.unit, column.name


def test_panels_do_not_lie_on_each_other() -> None:
    for dashboard in EVERY.values():
        taken: set[tuple[int, int]] = set()
        for panel in dashboard.json()["panels"]:
            place: Json = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not taken & cells
            assert max(x for x, _ in cells) < WIDTH
            taken |= cells


def test_a_named_query_is_about_the_chosen_namespace_and_revision() -> None:
    sql = named("matrix", "profile")
    assert "{" not in sql.replace("${", "")
    for name in ("namespace", "revision", "profile"):
        assert f"decodeURLComponent('${{{name}:percentencode}}')" in sql


def test_parameters_that_are_no_variables_keep_their_defaults() -> None:
    assert "('' = '' OR profile = '')" in named("matrix")
    assert with_variables("{a:String}", {"a": "'1'"}) == "'1'"


def test_grafana_is_provisioned_with_the_store_and_the_folder_of_the_dashboards() -> None:
    provisioning = FOLDER.parent / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "clickhouse.yaml").read_text())["datasources"]
    assert source["type"] == PLUGIN
    assert source["secureJsonData"] == {"password": "$GRAFANA_CLICKHOUSE_PASSWORD"}
    assert not source["editable"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "otel-coverage.yaml").read_text())["providers"]
    compose = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())
    mounts = dict(volume.split(":")[:2] for volume in compose["services"]["grafana"]["volumes"])
    assert mounts["./collector-config/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./collector-config/grafana/provisioning"] == "/etc/grafana/provisioning"
