"""``otel-coverage playback run`` against real servers, with a real collector and its store."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.collecting.test_while_collecting import collecting
from tests.playback.conftest import Write
from tests.support.commands import clean_environment
from tests.support.servers import serving
from tests.support.traced import DATA

SERVER = "waitress-serve --listen=127.0.0.1:{port} --threads=4 wsgi:app"
ENABLED = {"OTEL_COVERAGE_ENABLED": "1", "OTEL_COVERAGE_SOURCE": str(DATA / "store_front")}
NOWHERE = "http://127.0.0.1:1"


def otel_coverage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otel_coverage", *arguments]
    env = clean_environment(OTEL_COVERAGE_SPOOL="off", **environment)
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)


def sending_to(endpoint: str) -> dict[str, str]:
    """The variables that name a collector; nobody waits long for one that is not there."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1" if endpoint == NOWHERE else "60",
    }


@contextmanager
def served(endpoint: str, revision: str, **environment: str) -> Iterator[str]:
    """The URL of an application below ``otel-coverage run``."""
    with serving(
        SERVER,
        OTEL_RESOURCE_ATTRIBUTES=f"vcs.ref.head.revision={revision}",
        **sending_to(endpoint),
        **environment,
    ) as client:
        yield str(client.base_url)


def test_a_night_of_which_nothing_was_recorded_is_told_by_playback_query_and_report(
    tmp_path: Path, recording: Write
) -> None:
    dsn, out = f"chdb://{tmp_path}/store", tmp_path / "out"
    recordings = [
        str(recording({"method": "GET", "path": f"/{path}"}, profile=path).parent) for path in ("goods", "price")
    ]
    with collecting(dsn) as collector:
        endpoint = f"http://{collector.endpoints['OTLP/gRPC']}"

        def play(url: str, run: str, *options: str, collector: str = endpoint) -> subprocess.CompletedProcess[str]:
            patience = ("--delivery-timeout", "1" if collector == NOWHERE else "60")
            return otel_coverage(
                *("playback", "run", *recordings, "--base-url", url, "--run-id", run, *patience, *options),
                **sending_to(collector),
            )

        with served(endpoint, "first", **ENABLED) as url:
            traced = play(url, "night-1", "--store", dsn)
            assert (traced.returncode, traced.stderr) == (0, "")
            assert [json.loads(line)["traced"] for line in traced.stdout.splitlines()] == [1, 1]
            assert play(url, "unreported", "--store", dsn, collector=NOWHERE).returncode == 1
        with served(endpoint, "second") as url:  # not enabled
            untraced = play(url, "night-2")
            assert untraced.returncode == 1
            assert "nothing says that the application traced goods, price in run night-2" in untraced.stderr
            assert play(url, "night-2", "--allow-untraced").returncode == 0
        with served(endpoint, "second", OTEL_COVERAGE_TOKEN="secret", **ENABLED) as url:  # which playback has not
            assert play(url, "night-3").returncode == 1
        with served(NOWHERE, "second", **ENABLED) as url:  # the application's collector is down, the playback's is not
            believed = play(url, "night-4")
            assert (believed.returncode, believed.stderr) == (0, "")
            known = play(url, "night-4", "--store", dsn)
            assert known.returncode == 1
            assert "the application traced goods, price, and within 20 s nothing of it arrived" in known.stderr
            down = play(url, "night-5", collector=NOWHERE)
            assert down.returncode == 1
            assert "8 spans of the playback itself did not reach the collector" in down.stderr

        asked = otel_coverage("query", "leaderboard", "--store", dsn)
        reported = otel_coverage(
            *("report", "--store", dsn, "--out", str(out), "--source", str(DATA / "store_front"), "--expect"),
            str(tmp_path),
        )
        runs = otel_coverage("query", "runs", "--store", dsn)
        incomplete = otel_coverage("query", "incomplete", "--store", dsn)
        collector.end()
    sentence = "Runs 'night-4' ("
    assert sentence in asked.stderr
    assert "'night-3' (" in asked.stderr
    assert "'night-2' (" in asked.stderr
    record = json.loads(reported.stdout)
    assert (record["revision"], record["complete"]) == ("first", False)
    assert sentence in record["notes"][0]
    assert (out / "summary.md").read_text().splitlines()[2].startswith(f"> **Incomplete.** {sentence}")
    assert {(row["run"], row["complete"], row["requests"]) for row in json.loads(runs.stdout)} == {
        ("night-1", True, 1),
        ("unreported", False, 1),
        ("night-2", False, 0),
        ("night-3", False, 0),
        ("night-4", False, 0),
    }
    assert {row["run"] for row in json.loads(incomplete.stdout)} == {"night-2", "night-3", "night-4", "unreported"}
    reasons = {row["profile"]: row["incomplete_reasons"] for row in record["profiles"]}
    assert reasons == {"goods": ["no_client_span"], "price": ["no_client_span"]}


def test_an_application_without_a_revision_is_reported_beside_one_that_has_one(
    tmp_path: Path, recording: Write
) -> None:
    dsn, out = f"chdb://{tmp_path}/store", str(tmp_path / "out")
    paths = {name: str(recording({"method": "GET", "path": f"/{name}"}, profile=name)) for name in ("goods", "price")}
    source = ("--source", str(DATA / "store_front"))
    no_git = {"GIT_CEILING_DIRECTORIES": str(DATA)}
    with collecting(dsn) as collector:
        endpoint = f"http://{collector.endpoints['OTLP/gRPC']}"

        def play(url: str, name: str) -> None:
            common = ("playback", "run", paths[name], "--base-url", url, "--store", dsn)
            done = otel_coverage(*common, **sending_to(endpoint))
            assert done.returncode == 0, done.stderr

        def report(*options: str) -> dict[str, Any]:
            done = otel_coverage("report", "--store", dsn, "--out", out, *source, *options)
            assert done.returncode == 0, done.stderr
            record: dict[str, Any] = json.loads(done.stdout)
            return record

        with served(endpoint, "first", **ENABLED) as url:
            play(url, "goods")
        with serving(SERVER, **sending_to(endpoint), **ENABLED, **no_git) as client:
            play(str(client.base_url), "price")
        newest = report()
        first = report("--revision", "first")
        pushed = otel_coverage("catalog", "push", "--store", dsn, *source, **no_git)
        after_push = report("--revision", "unknown")
        collector.end()
    assert (newest["revision"], [row["profile"] for row in newest["profiles"]]) == ("unknown", ["price"])
    assert (first["revision"], [row["profile"] for row in first["profiles"]]) == ("first", ["goods"])
    assert "may be of several states of its code" in newest["notes"][0]
    assert "`otel-coverage catalog push --revision unknown`" in newest["notes"][1]
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout.endswith("symbols of revision unknown\n")
    assert len(after_push["notes"]) == 1
    assert after_push["profiles"][0]["functions_covered"] == newest["profiles"][0]["functions"] > 0


def test_where_responses_say_nothing_the_store_may(tmp_path: Path, recording: Write) -> None:
    """As where only a span processor records, on a tracer provider of the application's own."""
    (tmp_path / "own_provider.py").write_text(
        "from flask import Flask\n"
        "from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter\n"
        "from opentelemetry.instrumentation.flask import FlaskInstrumentor\n"
        "from opentelemetry.sdk.resources import Resource\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import BatchSpanProcessor\n"
        "import otel_coverage\n"
        "provider = TracerProvider(resource=Resource.create())\n"
        "provider.add_span_processor(otel_coverage.CoverageSpanProcessor())\n"
        "provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))\n"
        "app = Flask(__name__)\n"
        "FlaskInstrumentor().instrument_app(app, tracer_provider=provider)\n"
        "@app.get('/')\n"
        "def index():\n"
        "    return 'here'\n"
    )
    dsn = f"chdb://{tmp_path}/store"
    path = str(recording({"method": "GET", "path": "/"}))
    with collecting(dsn) as collector:
        endpoint = f"http://{collector.endpoints['OTLP/gRPC']}"
        with serving(
            SERVER.replace("wsgi:app", "own_provider:app"),
            (),
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_COVERAGE_ENABLED="1",
            OTEL_COVERAGE_SOURCE=str(tmp_path),
            PYTHONPATH=str(tmp_path),
        ) as client:
            common = ("playback", "run", path, "--base-url", str(client.base_url))
            alone = otel_coverage(*common, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
            asked = otel_coverage(*common, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_COVERAGE_STORE=dsn)
        collector.end()
    assert (alone.returncode, json.loads(alone.stdout)["traced"]) == (1, 0)
    assert "--store DSN looks for it in the store" in alone.stderr
    assert (asked.returncode, asked.stderr) == (0, "")
