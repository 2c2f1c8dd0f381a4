"""``otel-coverage playback run``, as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.playback.application import Application
from tests.playback.conftest import Write


def playback(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otel_coverage", "playback", "run", *map(str, arguments)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    env = {**env, "OTEL_TRACES_EXPORTER": "none", **environ}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)


def test_in_a_pipe_each_finished_profile_is_a_line_of_json(application: Application, recording: Write) -> None:
    good = recording({"method": "GET", "path": "/a"}, {"method": "POST", "path": "/enqueue/j"}, profile="good")
    bad = recording({"method": "GET", "path": "/missing"}, profile="bad")
    done = playback(good, bad, "--base-url", application.base_url + "/", "--run-id", "night-1", "--concurrency", "2")
    outcomes = {line["profile"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert outcomes.keys() == {"good", "bad"}
    assert outcomes["good"].items() >= {"outcome": "passed", "run_id": "night-1", "requests": 2, "jobs": 1}.items()
    assert outcomes["bad"]["outcome"] == "failed"
    assert "answered 404" in outcomes["bad"]["failure"]
    assert done.returncode == 1


def test_all_is_well_when_every_profile_passed(application: Application, recording: Write) -> None:
    done = playback(recording({"method": "GET", "path": "/a"}), "--base-url", application.base_url)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_sent_before_every_recording_was_read(application: Application, recording: Write) -> None:
    good = recording({"method": "GET", "path": "/a"}, profile="good")
    bad = recording({"method": "GET"}, profile="bad")
    done = playback(good, bad, "--base-url", application.base_url)
    assert application.asked == []
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"otel-coverage: {bad}: line 2: 'path' is missing or no text\n"


def test_a_line_that_is_no_json_is_named(application: Application, recording: Write) -> None:
    path = recording({"method": "GET", "path": "/a"})
    path.write_text(path.read_text() + '{"method": \n')
    done = playback(path, "--base-url", application.base_url)
    assert done.returncode == 2
    assert done.stderr == f"otel-coverage: {path}: not JSON at line 3: Expecting value\n"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://127.0.0.1:1", "nobody answers"),
        ("ftp://127.0.0.1", "an address like http://127.0.0.1:8000 is wanted"),
        ("http://127.0.0.1:99999", "nobody answers"),
        ("localhost", "an address like http://127.0.0.1:8000 is wanted"),
        ("http://[::1", "base URL"),
    ],
)
def test_an_address_where_nobody_answers_is_said_in_a_line(recording: Write, url: str, complaint: str) -> None:
    done = playback(recording({"method": "GET", "path": "/a"}), "--base-url", url)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--run-id", "a b"], "run id 'a b'"),
        (["--job-status", "/jobs"], "the path has no {job_id} in it"),
        (["--concurrency", "0"], "0 is not in the range"),
        (["--nonsense"], "No such option"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    application: Application, recording: Write, arguments: list[str], complaint: str
) -> None:
    done = playback(recording({"method": "GET", "path": "/a"}), "--base-url", application.base_url, *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert application.asked == []


def test_spans_that_did_not_arrive_are_reported(application: Application, recording: Write) -> None:
    done = playback(
        recording({"method": "GET", "path": "/a"}),
        "--base-url",
        application.base_url,
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    assert json.loads(done.stdout)["outcome"] == "passed"
    assert done.returncode == 1
    assert done.stderr.startswith("otel-coverage: 2 spans of the playback itself did not reach the collector")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_ends_the_waiting_for_a_job(application: Application, recording: Write) -> None:
    application.last_word = "started"
    path = recording({"method": "POST", "path": "/enqueue/j"})
    command = [sys.executable, "-m", "otel_coverage", "playback", "run", str(path), "--base-url", application.base_url]
    with subprocess.Popen(
        command, env={**os.environ, "OTEL_TRACES_EXPORTER": "none"}, stderr=subprocess.PIPE, text=True
    ) as process:
        while not application.polls:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in complaint


def test_answers_that_cannot_be_replayed_are_told_of(application: Application, capture: Write) -> None:
    folder = capture(
        {"stage": "response", "id": 1, "status": 200, "ok": True},
        {"stage": "request", "id": 2, "method": "GET", "endpoint": "/a"},
        {"stage": "response", "id": 2, "status": 200, "ok": True},
    )
    done = playback(folder, "--base-url", application.base_url)
    assert done.returncode == 0
    assert done.stderr.endswith("events.jsonl: line 1: an answer without its request; left out\n")
