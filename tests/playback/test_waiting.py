"""``playback run`` waits for the jobs that a profile set in motion, as the traces in the store tell of them."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from tests.collecting.test_while_collecting import collecting
from tests.support.commands import RUN, call, running
from tests.support.redis import redis, redis_socket, redis_url
from tests.support.servers import serving
from tests.support.traced import DATA

__all__ = ["redis", "redis_socket", "redis_url"]

EXAMPLES = DATA.parent.parent / "examples"


def test_jobs_of_jobs_are_waited_for_or_named_where_no_worker_takes_them(tmp_path: Path, redis_url: str) -> None:
    dsn = f"chdb://{tmp_path}/store"
    steps = [
        {"recording": 1, "profile": "closing"},
        {"method": "POST", "path": "/runs/${run}", "json": {}},
        {"method": "POST", "path": "/runs/${run}/month/close", "json": {}},
    ]
    recording = tmp_path / "recording.jsonl"
    recording.write_text("\n".join(map(json.dumps, steps)))
    with collecting(dsn) as collector:
        environment = {
            "OTEL_COVERAGE_ENABLED": "1",
            "OTEL_COVERAGE_SOURCE": "shop",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.endpoints['OTLP/gRPC']}",
            "OTEL_SERVICE_NAME": "shop",
            "OTEL_RESOURCE_ATTRIBUTES": "vcs.ref.head.revision=abc",
            "PYTHONPATH": str(EXAMPLES),
            "REDIS_URL": redis_url,
            "SHOP_DATABASE": str(tmp_path / "shop.sqlite3"),
        }
        server = f"gunicorn --bind 127.0.0.1:{{port}} --pythonpath {EXAMPLES} --threads 4 shop.app:create_app()"
        with serving(server, **environment) as client:

            def play(run: str, wait: str) -> tuple[int, str]:
                command = [sys.executable, "-m", "otel_coverage", "playback", "run", str(recording), "--job-status", ""]
                options = ["--base-url", str(client.base_url), "--run-id", run, "--store", dsn, "--wait", wait]
                done = call([*command, *options], tmp_path, **environment)
                return done.returncode, done.stderr

            code, said = play("nobody", "1")
            assert code == 1
            assert "0 requests and 1 job of run nobody did not arrive in the store within 1 s: closing: " in said
            played: list[tuple[int, str]] = []
            player = threading.Thread(target=lambda: played.append(play("somebody", "100")))
            player.start()
            with running([*RUN, "rq", "worker", "--url", redis_url, "shop"], **environment):
                player.join()
            assert played == [(0, "")]
        asked = "SELECT run, jobs, missing, pending FROM profile_runs ORDER BY run"
        found = call(
            [sys.executable, "-m", "otel_coverage", "query", "--store", dsn, "--sql", asked, "--format", "json"]
        )
        collector.end()
    rows = {row["run"]: row for row in json.loads(found.stdout)}
    assert rows["somebody"]["jobs"] >= 4
    assert (rows["somebody"]["missing"], rows["somebody"]["pending"]) == (0, 0)
