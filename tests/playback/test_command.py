"""``otel-coverage playback run`` in a subprocess."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from flask import request

from tests.playback.application import Application
from tests.playback.conftest import Write


def playback(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otel_coverage", "playback", "run", *map(str, arguments)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    env = {**env, "OTEL_TRACES_EXPORTER": "none", "OTEL_COVERAGE_SPOOL": "off", **environ}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)


def test_a_pipe_gets_a_line_of_json_for_each_profile(application: Application, recording: Write) -> None:
    good = recording({"method": "GET", "path": "/a"}, {"method": "POST", "path": "/enqueue/j"}, profile="good")
    bad = recording({"method": "GET", "path": "/missing"}, profile="bad")
    done = playback(good, bad, "--base-url", application.base_url + "/", "--run-id", "night-1", "--concurrency", "2")
    outcomes = {line["profile"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert outcomes.keys() == {"good", "bad"}
    assert outcomes["good"].items() >= {"outcome": "passed", "run_id": "night-1", "requests": 2, "jobs": 1}.items()
    assert outcomes["bad"]["outcome"] == "failed"
    assert "answered 404" in outcomes["bad"]["failure"]
    assert done.returncode == 1


def test_the_exit_code_is_zero_when_every_profile_passed(application: Application, recording: Write) -> None:
    done = playback(recording({"method": "GET", "path": "/a"}), "--base-url", application.base_url)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_sent_before_every_file_is_checked(application: Application, recording: Write) -> None:
    good = recording({"method": "GET", "path": "/a"}, profile="good")
    bad = recording({"method": "GET"}, profile="bad")
    done = playback(good, bad, "--base-url", application.base_url)
    assert application.requests == []
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"otel-coverage: {bad}: line 2: 'path' is missing\n"


def test_two_recordings_of_one_profile_are_refused_before_anything_is_sent(
    application: Application, recording: Write, tmp_path: Path
) -> None:
    first = recording({"method": "GET", "path": "/a"})
    second = tmp_path / "copy.jsonl"
    second.write_text(first.read_text())
    done = playback(first, second, "--base-url", application.base_url)
    assert application.requests == []
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"otel-coverage: {second}: names the profile tour, as {first} does;")


def test_an_empty_folder_among_the_recordings_is_skipped_and_named(
    application: Application, recording: Write, tmp_path: Path
) -> None:
    path = recording({"method": "GET", "path": "/a"})
    empty = tmp_path / "deleted"
    (empty / "uploads").mkdir(parents=True)
    done = playback(empty, path, "--base-url", application.base_url)
    assert (done.returncode, done.stderr) == (0, f"otel-coverage: {empty}: an empty folder; skipped\n")
    done = playback(empty, "--base-url", application.base_url)
    assert (done.returncode, done.stderr) == (2, f"otel-coverage: no playback recording: {empty} is empty\n")


def test_the_error_for_a_line_that_is_not_json_names_the_line(application: Application, recording: Write) -> None:
    path = recording({"method": "GET", "path": "/a"})
    path.write_text(path.read_text() + '{"method": \n')
    done = playback(path, "--base-url", application.base_url)
    assert done.returncode == 2
    assert done.stderr == f"otel-coverage: {path}: line 3: not JSON: Expecting value\n"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:1", "cannot connect to http://127.0.0.1:1"),
        ("ftp://127.0.0.1", "is not an HTTP URL like http://127.0.0.1:8000"),
        ("http://127.0.0.1:99999", "cannot connect to http://127.0.0.1:99999"),
        ("localhost", "is not an HTTP URL like http://127.0.0.1:8000"),
        ("http://[::1", "'http://[::1' is not a URL"),
    ],
)
def test_an_unreachable_or_invalid_url_is_an_error_of_one_line(recording: Write, url: str, message: str) -> None:
    done = playback(recording({"method": "GET", "path": "/a"}), "--base-url", url)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run-id", "a b"], "run id 'a b'"),
        (["--job-status", "/jobs"], "must contain {job_id}"),
        (["--concurrency", "0"], "0 is not in the range"),
        (["--run-id", "a" * 127, "--repeat", "2"], "is not valid"),
        (["--result", "/no/such/folder/result.json"], "/no/such/folder/result.json: cannot be written"),
        (["--think-time", "some"], "is not one of"),
        (["--nonsense"], "No such option"),
    ],
)
def test_invalid_options_are_refused_before_anything_is_sent(
    application: Application, recording: Write, arguments: list[str], message: str
) -> None:
    done = playback(recording({"method": "GET", "path": "/a"}), "--base-url", application.base_url, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert application.requests == []


def test_undelivered_spans_are_reported(application: Application, recording: Write) -> None:
    done = playback(
        recording({"method": "GET", "path": "/a"}),
        "--base-url",
        application.base_url,
        "--delivery-timeout",
        "0.5",
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    assert json.loads(done.stdout)["outcome"] == "passed"
    assert done.returncode == 1
    assert done.stderr.startswith("otel-coverage: 4 spans of the playback itself did not reach the collector")
    assert done.stderr.count("\n") == 1


def test_an_application_that_is_not_traced_is_reported(application: Application, recording: Write) -> None:
    application.traced = False
    path = recording({"method": "GET", "path": "/a"})
    done = playback(path, "--base-url", application.base_url, "--run-id", "night-1")
    assert json.loads(done.stdout).items() >= {"outcome": "passed", "requests": 1, "traced": 0}.items()
    assert done.returncode == 1
    assert done.stderr.startswith(
        "otel-coverage: nothing says that the application traced tour in run night-1: start it"
    )
    assert done.stderr.count("\n") == 1
    allowed = playback(path, "--base-url", application.base_url, "--run-id", "night-1", "--allow-untraced")
    assert (allowed.returncode, allowed.stderr) == (0, done.stderr)


def test_one_untraced_profile_among_others_is_named(application: Application, recording: Write) -> None:
    traced = recording({"method": "GET", "path": "/a"}, profile="traced")
    elsewhere = recording({"method": "GET", "path": "/untraced"}, profile="elsewhere")
    done = playback(traced, elsewhere, "--base-url", application.base_url)
    assert done.returncode == 1
    assert "traced elsewhere in run" in done.stderr


def test_a_redirect_out_of_the_traced_application_is_traced(application: Application, recording: Write) -> None:
    done = playback(recording({"method": "GET", "path": "/leave"}), "--base-url", application.base_url)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_interrupts_the_wait_for_a_job(application: Application, recording: Write) -> None:
    application.final_status = "started"
    path = recording({"method": "POST", "path": "/enqueue/j"})
    command = [sys.executable, "-m", "otel_coverage", "playback", "run", str(path), "--base-url", application.base_url]
    with subprocess.Popen(
        command, env={**os.environ, "OTEL_TRACES_EXPORTER": "none"}, stderr=subprocess.PIPE, text=True
    ) as process:
        while not application.polls:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in message


def test_skipped_events_are_reported(application: Application, capture: Write) -> None:
    folder = capture(
        {"stage": "response", "id": 1, "status": 200, "ok": True},
        {"stage": "request", "id": 2, "method": "GET", "endpoint": "/a"},
        {"stage": "response", "id": 2, "status": 200, "ok": True},
    )
    done = playback(folder, "--base-url", application.base_url)
    assert done.returncode == 0
    assert done.stderr.endswith("events.jsonl: line 1: a response without a request; skipped\n")


def test_each_repetition_has_an_outcome_and_pauses_are_left_out(application: Application, recording: Write) -> None:
    path = recording({"method": "GET", "path": "/a", "think": 3600})
    done = playback(
        path, "--base-url", application.base_url, "--run-id", "n", "--repeat", "3", "--host", "shop.example"
    )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, [each["run_id"] for each in outcomes]) == (0, ["n", "n.2", "n.3"])
    assert {received.headers["Host"] for received in application.requests} == {"shop.example"}


def test_a_server_that_is_gone_leaves_the_results_of_the_others(
    application: Application, recording: Write, tmp_path: Path
) -> None:
    lost = recording({"method": "GET", "path": "/a", "timeout": 0.5}, profile="lost")
    fine = recording({"method": "GET", "path": "/b"}, profile="fine")
    released = threading.Event()
    application.on_request = lambda: request.path != "/a" or released.wait(60)
    result = tmp_path / "result.json"
    done = playback(lost, fine, "--base-url", application.base_url, "--result", result, "--no-trace-code")
    released.set()
    assert done.returncode == 1
    outcomes = {each["profile"]: each["outcome"] for each in json.loads(result.read_text())["profiles"]}
    assert outcomes == {"fine": "passed", "lost": "failed"}
    assert "no answer within 0.5 s; see --timeout" in done.stdout
