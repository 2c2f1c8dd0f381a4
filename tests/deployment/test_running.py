"""What ``docker-compose.yml`` describes works: its commands, environment and health checks, as processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.deployment.counterparts import deployment_in
from tests.support.commands import wait_until


@pytest.mark.until(3, 13)  # Rotel's wheel
def test_the_services_of_the_compose_file_record_what_the_profiles_execute(tmp_path: Path) -> None:
    with deployment_in(tmp_path) as deployment:
        server = deployment.services["clickhouse"]["environment"]
        collect = f"otel-coverage collect --store chdb://{tmp_path}/store --grpc-endpoint none --http-endpoint none"
        endpoint = f"--clickhouse-user {server['CLICKHOUSE_USER']} --clickhouse-endpoint 127.0.0.1:8123"
        deployment.start(
            "clickhouse",
            f"{collect} {endpoint}",
            OTEL_COVERAGE_CLICKHOUSE_PASSWORD=server["CLICKHOUSE_PASSWORD"],
        )
        schema = deployment.run("schema")
        assert schema.returncode == 0, schema.stderr
        deployment.start(
            "rotel",
            # that endpoint has one user
            ROTEL_CLICKHOUSE_EXPORTER_USER=server["CLICKHOUSE_USER"],
            ROTEL_CLICKHOUSE_EXPORTER_PASSWORD=server["CLICKHOUSE_PASSWORD"],
        )
        deployment.start("redis")
        deployment.start("web")
        deployment.start("worker")
        played = deployment.run("playback")
        outcomes = [json.loads(line) for line in played.stdout.splitlines()]
        assert [outcome["outcome"] for outcome in outcomes] == ["passed"] * 7, played.stderr
        wait_until(lambda: deployment.run("report").returncode == 0)
        matrix = json.loads((tmp_path / "artifacts" / "matrix.json").read_text())
        leaderboard = json.loads((tmp_path / "artifacts" / "leaderboard.json").read_text())
    assert matrix["revision"] == "c" * 40
    executed = {row["profile"]: row["functions"] for row in leaderboard["leaderboard"]}
    assert executed == {
        "browse": 29,
        "checkout": 57,
        "month-end": 68,
        "refund": 61,
        "reprice": 32,
        "smoke": 22,
        "stock-list": 40,
    }
