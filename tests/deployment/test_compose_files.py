"""What the Compose files promise: pins, limits, health, nothing but loopback, no default password."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_coverage.settings import Settings
from tests.deployment.counterparts import VARIABLES
from tests.support import compose
from tests.support.compose import ROOT, MissingVariableError
from tests.support.rotel import options_of_the_agent

DOCUMENT = compose.read("docker-compose.yml", VARIABLES)
SERVICES: dict[str, Any] = DOCUMENT["services"]
ONCE = {"schema", "playback", "report"}  # they end by themselves
OWN = {name: f"/{name.lower()}" for name in compose.required("docker-compose.own.yml")}
every_service = pytest.mark.parametrize("name", SERVICES)


@every_service
def test_an_image_is_pinned_or_built_from_a_file_of_this_repository(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert (ROOT / service["build"]["dockerfile"]).is_file()
    else:
        assert re.fullmatch(r"[\w./-]+:\d+(\.\d+)+", service["image"])


@every_service
def test_a_service_is_bounded_in_memory_and_processors(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert {"cpus", "memory"} == limits.keys()


@every_service
def test_a_service_that_stays_says_whether_it_is_healthy(name: str) -> None:
    if name in ONCE:
        assert "healthcheck" not in SERVICES[name]
    elif name == "otelcol":
        assert "shell" in (ROOT / "docker-compose.yml").read_text().split("  otelcol:", 1)[1].splitlines()[0]
    else:
        assert compose.health_check(SERVICES[name])


@every_service
def test_ports_are_published_on_the_loopback_interface_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith("127.0.0.1:")


@every_service
def test_volumes_are_declared_or_paths_of_this_repository(name: str) -> None:
    for volume in SERVICES[name].get("volumes", ()):
        source, _, *options = volume.split(":")
        if source.startswith("./"):
            assert source == "./artifacts" or ((ROOT / source).exists() and options == ["ro"])
        else:
            assert source in DOCUMENT["volumes"]


@every_service
def test_what_a_service_waits_for_can_happen(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[needed]
        else:
            assert how["condition"] == "service_completed_successfully"
            assert needed in ONCE


def test_without_its_secrets_nothing_starts() -> None:
    with pytest.raises(MissingVariableError, match="scripts/make-env"):
        compose.read("docker-compose.yml", {})
    for missing in compose.required("docker-compose.yml"):
        with pytest.raises(MissingVariableError, match=missing):
            compose.read("docker-compose.yml", VARIABLES | {missing: ""})


def test_secrets_are_nowhere_in_the_file() -> None:
    text = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for name, service in text["services"].items():
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable or "TOKEN" in variable or variable == "REDISCLI_AUTH":
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{name}: {variable}"


def test_either_collector_answers_to_the_name_that_applications_send_to() -> None:
    collectors = {name: service for name, service in SERVICES.items() if "networks" in service}
    assert {name: service["profiles"] for name, service in collectors.items()} == {
        "otelcol": ["otelcol"],
        "rotel": ["rotel"],
    }
    for service in collectors.values():
        assert service["networks"]["default"]["aliases"] == ["collector"]
        assert "0.0.0.0:4317" in service["environment"].values()  # a container's loopback interface is its own
    for service in SERVICES.values():
        assert service.get("environment", {}).get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317") == (
            "http://collector:4317"
        )


def test_the_collector_gets_variables_and_files_that_are_there() -> None:
    collector = SERVICES["otelcol"]
    configurations = [argument.removeprefix("--config=/etc/otelcol/") for argument in compose.command(collector)]
    text = "".join((ROOT / "collector-config" / name).read_text() for name in configurations)
    assert set(collector["environment"]) <= set(re.findall(r"\$\{env:(\w+)", text))


@pytest.mark.until(3, 13)
def test_rotel_gets_options_of_its_agent() -> None:
    known = options_of_the_agent()
    for variable in compose.environment(SERVICES["rotel"]):
        assert f"--{variable.removeprefix('ROTEL_').lower().replace('_', '-')}" in known


def test_a_file_without_the_revision_that_is_built_starts_nothing() -> None:
    with pytest.raises(MissingVariableError, match="git rev-parse HEAD"):
        compose.read("docker-compose.yml", VARIABLES | {"REVISION": ""})


def test_what_runs_at_the_start_of_a_traced_service_is_recorded() -> None:
    traced = {name for name, service in SERVICES.items() if "otel-coverage run" in str(service.get("command"))}
    assert traced == {"web", "worker"}
    assert all(SERVICES[name]["environment"]["OTEL_COVERAGE_STARTUP"] == "1" for name in traced)


@every_service
def test_settings_of_the_services_are_known(name: str) -> None:
    ours = {f"OTEL_COVERAGE_{field.upper()}" for field in Settings.__dataclass_fields__} | {"OTEL_COVERAGE_STORE"}
    for variable in SERVICES[name].get("environment", {}):
        assert variable in ours or not variable.startswith("OTEL_COVERAGE_")


def test_the_users_of_the_services_are_made_by_the_servers_start() -> None:
    users = (ROOT / "collector-config" / "clickhouse" / "users.sh").read_text()
    made = dict(re.findall(r'^user (\w+) "\$(\w+)"', users, re.MULTILINE))
    server = SERVICES["clickhouse"]["environment"]
    assert SERVICES["otelcol"]["environment"]["CLICKHOUSE_USER"] in made
    assert SERVICES["grafana"]["environment"]["GRAFANA_CLICKHOUSE_USER"] in made
    assert set(made.values()) <= server.keys()
    assert server[made["reader"]] == SERVICES["grafana"]["environment"]["GRAFANA_CLICKHOUSE_PASSWORD"]
    assert server[made["collector"]] == SERVICES["rotel"]["environment"]["ROTEL_CLICKHOUSE_EXPORTER_PASSWORD"]


def test_ones_own_application_takes_the_place_of_the_example() -> None:
    own = compose.read("docker-compose.own.yml", OWN)["services"]
    assert own.keys() <= SERVICES.keys()
    assert "shop" not in yaml.safe_dump(own).replace("../shop", "")
    for name in ("web", "worker"):
        assert own[name]["build"] == {"context": OWN["APP"]}
        assert compose.command(own[name])
        assert own[name]["environment"]["OTEL_COVERAGE_SOURCE"] == f"/app/{OWN['APP_PACKAGE']}"
    with pytest.raises(MissingVariableError, match="APP: the folder of your application"):
        compose.read("docker-compose.own.yml", OWN | {"APP": ""})


def test_variables_of_ones_own_recordings_reach_their_playback_alone() -> None:
    own = compose.read("docker-compose.own.yml", OWN | {"APP_VARIABLES": "../shop-playback.env"})["services"]
    assert {name: each["env_file"] for name, each in own.items() if "env_file" in each} == {
        "playback": ["../shop-playback.env"]
    }
    assert compose.read("docker-compose.own.yml", OWN)["services"]["playback"]["env_file"] == ["/dev/null"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the script that draws passwords."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "make-env", tmp_path / "scripts")
    return tmp_path


def make_env(checkout: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "scripts" / "make-env")]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=60, check=False)


def test_drawn_passwords_fill_all_that_is_required_and_are_read_by_their_owner_alone(checkout: Path) -> None:
    assert make_env(checkout).returncode == 0
    file = checkout / ".env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    drawn = dict(line.split("=", 1) for line in file.read_text().splitlines() if not line.startswith("#"))
    assert compose.required("docker-compose.yml") - drawn.keys() == {"REVISION"}
    assert drawn["COMPOSE_PROFILES"] == "otelcol"
    secrets = [value for name, value in drawn.items() if name.endswith(("PASSWORD", "TOKEN"))]
    assert len(set(secrets)) == len(secrets) == 6
    assert all(re.fullmatch(r"[0-9a-f]{48}", value) for value in secrets)


def test_passwords_that_are_in_use_are_not_drawn_again(checkout: Path) -> None:
    make_env(checkout)
    before = (checkout / ".env").read_text()
    done = make_env(checkout)
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert (checkout / ".env").read_text() == before
