"""``otel-coverage overhead`` against traced applications, with a collector and its store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from otel_coverage.gates.overhead import schema_text
from tests.collecting.test_while_collecting import collecting
from tests.playback.application import Application
from tests.playback.conftest import Write
from tests.playback.test_traced_application import ENABLED, otel_coverage, sending_to, served
from tests.support.commands import PATIENCE, clean_environment

ANY = "1000000"  # a precision, in percent, that is always reached
NEVER = "0.0000001"


@dataclass(frozen=True)
class Traced:
    """An application that is traced, and where its spans go."""

    url: str
    dsn: str
    endpoint: str

    def measure(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return otel_coverage("overhead", *arguments, "--base-url", self.url, **sending_to(self.endpoint))


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    dsn = f"chdb://{tmp_path_factory.mktemp('measured') / 'store'}"
    with collecting(dsn) as collector:
        endpoint = f"http://{collector.endpoints['OTLP/gRPC']}"
        with served(endpoint, "measured", OTEL_COVERAGE_SPOOL="off", **ENABLED) as url:
            yield Traced(url, dsn, endpoint)


@pytest.fixture
def profiles(recording: Write) -> list[str]:
    paths = ("goods", "price")
    return [str(recording({"method": "GET", "path": f"/{path}"}, profile=path).parent) for path in paths]


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def test_what_was_measured_is_written_and_judged_by_the_gate(
    traced: Traced, profiles: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "perf-baseline.json"
    done = traced.measure(
        *profiles, "--out", str(out), "--precision", ANY, "--revision", "measured", "--run-id", "cost"
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = read(out)
    Draft202012Validator(json.loads(schema_text())).validate(found)
    assert json.loads(done.stdout) == found
    assert (found["revision"], found["precision"]["reached"]) == ("measured", True)
    assert [each["profile"] for each in found["profiles"]] == ["goods", "price"]
    for each in (found["overall"], *found["profiles"]):
        assert each["pairs"] == 6  # the fewest that have an interval of 0.95
        assert each["low"] <= each["ratio"] <= each["high"]
        assert min(each["plain_seconds"], each["traced_seconds"]) > 0
    assert os.stat(out).st_mode & 0o777 == 0o600
    gated = otel_coverage("gate", "--overhead", str(out), "--max-overhead", "10000000")
    assert gated.returncode == 0, gated.stderr

    verified = otel_coverage("verify", "--store", traced.dsn, "--run", "cost.6", "--wait", "100")
    assert verified.returncode == 0, verified.stdout
    asked = otel_coverage("query", "runs", "--store", traced.dsn)
    runs = Counter(row["run"] for row in json.loads(asked.stdout) if row["run"].startswith("cost."))
    assert runs == {f"cost.{number}": len(profiles) for number in range(7)}


def test_a_limit_that_comes_before_the_precision_is_said(traced: Traced, profiles: list[str], tmp_path: Path) -> None:
    out = tmp_path / "perf-baseline.json"
    limits = ("--precision", NEVER, "--max-rounds", "7")
    done = traced.measure(profiles[0], "--out", str(out), *limits, "--format", "table")
    assert done.returncode == 0, done.stderr
    assert "after 7 rounds the interval reaches" in done.stderr
    assert read(out)["precision"] == {"wanted": pytest.approx(1e-9), "reached": False}
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith(("goods", "(all"))] == [
        "goods",
        "(all",
    ]


def test_too_few_rounds_write_nothing(traced: Traced, profiles: list[str], tmp_path: Path) -> None:
    out = tmp_path / "perf-baseline.json"
    done = traced.measure(profiles[0], "--out", str(out), "--max-rounds", "5")
    assert done.returncode == 1
    assert "5 rounds were played within the limits, and an interval of confidence 0.95 needs 6" in done.stderr
    assert not out.exists()


def test_plays_with_and_without_tracing_alternate_and_each_is_first_as_often(
    application: Application, profiles: list[str], tmp_path: Path
) -> None:
    done = otel_coverage(
        *("overhead", *profiles, "--base-url", application.base_url, "--out", str(tmp_path / "out.json")),
        *("--precision", ANY),
        OTEL_TRACES_EXPORTER="none",
    )
    assert done.returncode == 0, done.stderr
    played = [(each.path, "baggage" in {name.lower() for name in each.headers}) for each in application.requests]
    assert len(played) == 7 * 4
    for place in range(0, len(played), 2):
        (path, first), (other, second) = played[place : place + 2]
        assert path == other
        assert first != second
    firsts = [played[place][1] for place in range(4, len(played), 4)]
    assert firsts == [True, False] * 3 or firsts == [False, True] * 3


def test_without_tracing_another_server_can_be_played_against(
    application: Application, recording: Write, tmp_path: Path, traced: Traced
) -> None:
    profile = str(recording({"method": "GET", "path": "/goods"}, profile="goods").parent)
    plain = ("--plain-url", application.base_url)
    done = traced.measure(profile, *plain, "--out", str(tmp_path / "out.json"), "--precision", ANY)
    assert done.returncode == 0, done.stderr
    assert len(application.requests) == 7
    assert not any("baggage" in {name.lower() for name in each.headers} for each in application.requests)


@pytest.mark.parametrize("problem", ["fails", "is not traced"])
def test_what_cannot_be_compared_is_an_error_and_leaves_the_file(
    application: Application, recording: Write, tmp_path: Path, problem: str
) -> None:
    out = tmp_path / "perf-baseline.json"
    out.write_text("of last week")
    path = "/missing" if problem == "fails" else "/"
    application.traced = problem == "fails"
    profile = str(recording({"method": "GET", "path": path, "status": 200}))
    done = otel_coverage(
        *("overhead", profile, "--base-url", application.base_url, "--out", str(out)), OTEL_TRACES_EXPORTER="none"
    )
    assert done.returncode == 1
    said = "answered 404, expected 200" if problem == "fails" else "nothing says that the application traced it"
    assert said in done.stderr
    assert out.read_text() == "of last week"


def test_an_interruption_leaves_the_file_and_says_so(
    application: Application, recording: Write, tmp_path: Path
) -> None:
    out = tmp_path / "perf-baseline.json"
    asked: list[int] = []
    command = [sys.executable, "-m", "otel_coverage", "overhead", str(recording({"method": "GET", "path": "/"}))]
    with subprocess.Popen(
        [*command, "--base-url", application.base_url, "--out", str(out), "--precision", NEVER, "--max-rounds", "500"],
        env=clean_environment(OTEL_TRACES_EXPORTER="none", OTEL_COVERAGE_SPOOL="off"),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        application.on_request = _after(8, lambda: process.send_signal(signal.SIGINT), asked)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said
    assert f"rounds were played; {out} is as it was" in said
    assert not out.exists()


def _after(number: int, action: Callable[[], object], asked: list[int]) -> Callable[[], object]:
    def on_request() -> None:
        asked.append(len(asked))
        if len(asked) == number:
            action()

    return on_request


def test_summary_has_a_line_of_what_was_measured(tmp_path: Path, traced: Traced, profiles: list[str]) -> None:
    ratio = {"pairs": 9, "ratio": 1.04, "low": 1.02, "high": 1.07}
    document = {
        "schema_version": 1,
        "revision": "abc",
        "measured_at": "2026-01-02T03:04:05Z",
        "confidence": 0.95,
        "overall": ratio,
        "profiles": [],
    }
    (tmp_path / "cost.json").write_text(json.dumps(document))
    played = otel_coverage(
        *("playback", "run", *profiles, "--base-url", traced.url, "--store", traced.dsn), **sending_to(traced.endpoint)
    )
    assert played.returncode == 0, played.stderr
    report = ("report", "--store", traced.dsn, "--out", str(tmp_path / "out"), "--only", "summary.md")
    done = otel_coverage(*report, "--overhead", str(tmp_path / "cost.json"))
    assert done.returncode == 0, done.stderr
    line = "Tracing takes 4.0 % (2.0 to 7.0) more time, as measured on 2026-01-02 at revision abc."
    assert line in (tmp_path / "out/summary.md").read_text().splitlines()
