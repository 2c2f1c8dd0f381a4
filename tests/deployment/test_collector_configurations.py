"""The form of collector-config/, of which Rotel's part alone is run in tests."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.rotel import options_of_the_agent

ROOT = Path(__file__).parents[2]
CONFIGURATIONS = sorted((ROOT / "collector-config").glob("otelcol-contrib*.yaml"))
ON_TOP = ("sampling", "tls", "routing", "metrics", "tracing")
KEYS = Path(__file__).with_name("otelcol_keys.yaml")
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
        "otelcol-contrib.tracing.yaml",
        "otelcol-contrib.yaml",
    ]


@pytest.mark.parametrize("on_top", [[], *([name] for name in ON_TOP), ["sampling", "tls"], list(ON_TOP)])
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


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_a_configuration_has_only_keys_that_its_components_document(path: Path) -> None:
    known = loaded(KEYS)
    document = loaded(path)
    assert document.keys() <= known.keys()
    for kind, components in document.items():
        of_kind = {name: known[kind][name.split("/")[0] if kind != "service" else name] for name in components}
        assert list(_unknown(components, of_kind)) == []


def _unknown(value: Any, known: Any, place: str = "") -> Iterator[str]:
    """Where a value has keys that are not known."""
    if known == "any":
        return
    if isinstance(known, list):
        assert isinstance(value, list), place
        for item in value:
            yield from _unknown(item, known[0], f"{place}[]")
        return
    assert isinstance(value, dict), place
    for key, item in value.items():
        if key not in known:
            yield f"{place}.{key}"
        else:
            yield from _unknown(item, known[key], f"{place}.{key}")


def test_a_key_that_no_component_documents_is_found() -> None:
    known = loaded(KEYS)
    wrong = {"otlp": {"protocols": {"grpc": {"max_recv_msg_size": 64}}}}
    assert list(_unknown(wrong, known["receivers"])) == [".otlp.protocols.grpc.max_recv_msg_size"]


def test_what_is_sampled_and_what_is_routed_is_the_same_spans() -> None:
    sampled = loaded(ROOT / "collector-config" / "otelcol-contrib.sampling.yaml")["processors"]["tail_sampling"]
    routed = loaded(ROOT / "collector-config" / "otelcol-contrib.routing.yaml")["connectors"]["routing/coverage"]
    assert sampled["policies"][0]["ottl_condition"]["span"] == [routed["table"][0]["condition"]]


def test_a_trace_back_end_gets_all_but_the_sets() -> None:
    document = loaded(ROOT / "collector-config" / "otelcol-contrib.tracing.yaml")
    actions = document["processors"]["attributes/without_sets"]["actions"]
    of_rotel = runpy.run_path(str(ROOT / "collector-config" / "rotel_without_sets.py"))["SETS"]
    assert {(each["key"], each["action"]) for each in actions} == {(name, "delete") for name in of_rotel}


def test_the_production_gateway_queues_on_disk_and_admits_nobody_without_a_token() -> None:
    names = ["otelcol-contrib.yaml", "otelcol-contrib.tls.yaml", "otelcol-contrib.sampling.yaml"]
    gateway = merged(*(loaded(ROOT / "collector-config" / name) for name in names))
    for protocol in gateway["receivers"]["otlp"]["protocols"].values():
        assert protocol["tls"].keys() >= {"cert_file", "key_file"}
        assert protocol["auth"]["authenticator"] in gateway["service"]["extensions"]
        assert "max_recv_msg_size_mib" in protocol or "max_request_body_size" in protocol
    queue = gateway["exporters"]["clickhouse"]["sending_queue"]
    assert queue["storage"] in gateway["service"]["extensions"]
    assert gateway["exporters"]["clickhouse"]["retry_on_failure"]["max_elapsed_time"] == 0
    assert gateway["service"]["pipelines"]["traces"]["processors"] == ["memory_limiter", "tail_sampling"]


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
