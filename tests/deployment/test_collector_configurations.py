"""The form of collector-config/, of which Rotel's part alone is run in tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.rotel import options_of_the_agent

ROOT = Path(__file__).parents[2]
CONFIGURATIONS = sorted((ROOT / "collector-config").glob("otelcol-contrib*.yaml"))
VARIABLE = re.compile(r"\$\{env:(\w+)(?::-[^}]*)?\}")


def loaded(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def merged(*documents: dict[str, Any]) -> dict[str, Any]:
    """Merge as otelcol merges ``--config`` files: maps by key; of anything else the later one."""
    result: dict[str, Any] = {}
    for document in documents:
        for key, value in document.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else value
    return result


def test_all_configurations_are_checked() -> None:
    assert [path.name for path in CONFIGURATIONS] == [
        "otelcol-contrib.metrics.yaml",
        "otelcol-contrib.routing.yaml",
        "otelcol-contrib.sampling.yaml",
        "otelcol-contrib.tls.yaml",
        "otelcol-contrib.yaml",
    ]


@pytest.mark.parametrize("on_top", [[], ["sampling"], ["tls"], ["routing"], ["sampling", "tls", "routing"]])
def test_pipelines_use_all_configured_components_and_no_others(on_top: list[str]) -> None:
    names = ["otelcol-contrib.yaml", *(f"otelcol-contrib.{name}.yaml" for name in on_top)]
    configuration = merged(*(loaded(ROOT / "collector-config" / name) for name in names))
    service = configuration["service"]
    used: dict[str, set[str]] = {"extensions": set(service["extensions"])}
    for pipeline in service["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
        for kind in ("receivers", "processors", "exporters"):
            used.setdefault(kind, set()).update(pipeline[kind])
    connectors = set(configuration.get("connectors", ()))  # the last component of one pipeline, the first of others
    assert connectors == used["exporters"] & used["receivers"]
    for kind, components in used.items():
        assert components - connectors == set(configuration[kind])
    assert configuration["exporters"]["clickhouse"]["sending_queue"]["storage"] in service["extensions"]
    assert configuration["exporters"]["clickhouse"]["traces_table_name"] == "otel_traces"
    for protocol in configuration["receivers"]["otlp"]["protocols"].values():
        assert protocol.get("auth", {"authenticator": "bearertokenauth"})["authenticator"] == "bearertokenauth"


def test_the_exporter_for_routed_spans_differs_only_in_its_table() -> None:
    base, routing = (loaded(ROOT / "collector-config" / f"otelcol-contrib{name}.yaml") for name in ("", ".routing"))
    table = {"traces_table_name": "otel_coverage_traces"}
    assert routing["exporters"]["clickhouse/coverage"] == base["exporters"]["clickhouse"] | table
    connector = routing["connectors"]["routing/coverage"]
    rows = connector["table"]
    routes = {*connector["default_pipelines"], *(name for row in rows for name in row["pipelines"])}
    pipelines = routing["service"]["pipelines"]
    assert routes == {
        name for name, pipeline in pipelines.items() if "routing/coverage" in pipeline.get("receivers", ())
    }


def test_secrets_come_from_the_environment() -> None:
    for path in CONFIGURATIONS:
        for line in path.read_text().splitlines():
            key, _, value = line.strip().partition(":")
            if key in ("password", "token", "key_file"):
                assert VARIABLE.match(value.strip()), line


@pytest.mark.until(3, 13)
def test_rotels_variables_are_options_of_its_agent() -> None:
    text = (ROOT / "collector-config" / "rotel.env").read_text()
    variables = re.findall(r"^(?:# |# not )?ROTEL_(\w+)", text, re.MULTILINE)
    assert len(variables) > 5
    known = options_of_the_agent()
    for variable in variables:
        assert f"--{variable.lower().replace('_', '-')}" in known
