"""What was recorded of Chromium and an application with logins, CSRF tokens, uploads, redirects and jobs, is played."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from otel_coverage.playback.schemas import schema
from tests.playback.browsing import NAME, PASSWORD, TITLE, VISIT, go_on, visit
from tests.playback.proxying import Recorder, recording
from tests.playback.test_traced_application import otel_coverage
from tests.support.browser import chromium
from tests.support.collector import Collector, ReceivedSpan, running_collector
from tests.support.commands import RUN, running
from tests.support.redis import redis_socket
from tests.support.servers import serving
from tests.support.traced import DATA

__all__ = ["redis_socket"]

SERVER = "waitress-serve --listen=127.0.0.1:{port} --threads=12 notebook.app:app"
WORKER = (*RUN, "rq", "worker", "--worker-class", "rq.worker.SimpleWorker", "--url")
REQUESTS = 12  # of a visit, with those that redirects lead to
BROWSERS = ("GET /static/<path:filename>", "GET /favicon.ico")  # which a browser asks for by itself
TIMES = 10
OTHER, VISIT_BY_PROXY = "grace-hopper", "visit-by-proxy"

pytestmark = pytest.mark.timeout(300)


def of(names: str) -> frozenset[str]:
    return frozenset(f"notebook.{name}" for name in names.split())


# Written by hand, from tests/data/notebook alone. Never generate or correct it from the output of otel-coverage.
EXECUTED = of(
    "app:User.__init__ app:load_user app:page app:shown app:register app:log_in app:profile app:add app:owned app:note "
    "app:change app:revision app:count app:log_out jobs:count_words jobs:words"
)


@dataclass
class Visited:
    """The application after visits by Chromium.

    Attributes:
        har: that Playwright saved of the first one.
        recording: that was made of it.
        converted: what the command said of it.
        recorder: through which the second one went.
        renewed: that recorded what was recorded there anew from the fourth request on.
    """

    url: str
    collector: Collector
    har: Path
    recording: Path
    converted: dict[str, Any]
    recorder: Recorder
    renewed: Recorder

    def play(
        self, run: str, *options: str, recording: Path | None = None, **environment: str
    ) -> tuple[int, str, list[dict[str, Any]]]:
        """Play the converted recording, or another one; exit code, stderr and outcomes."""
        played = (recording or self.recording).parent
        done = otel_coverage(
            *("playback", "run", str(played), "--base-url", self.url, "--run-id", run, *options),
            **{"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.endpoint, "PLAYBACK_PASSWORD": "another 1", **environment},
        )
        return done.returncode, done.stderr, [json.loads(line) for line in done.stdout.splitlines()]

    @property
    def proxied(self) -> Path:
        """The recording that the proxy made."""
        return self.recorder.folder / "profiles" / "proxied" / "recording.jsonl"

    def matrix(self, profile: str, runs: int, prefix: str) -> dict[str, frozenset[str]]:
        """The functions of each run, once all of its requests and its job have arrived."""

        def own(spans: list[ReceivedSpan], role: str) -> dict[str, list[ReceivedSpan]]:
            found: dict[str, list[ReceivedSpan]] = {}
            for span in spans:
                run = str(span.attributes.get("playback.run_id", ""))
                if span.name in BROWSERS:
                    continue
                if span.role == role and span.attributes["playback.profile"] == profile and run.startswith(prefix):
                    found.setdefault(run, []).append(span)
            return found

        def have_arrived(spans: list[ReceivedSpan]) -> bool:
            servers, consumers = own(spans, "server"), own(spans, "consumer")
            are_served = [len(each) for each in servers.values()] == [REQUESTS] * runs
            return are_served and [len(each) for each in consumers.values()] == [1] * runs

        spans = self.collector.wait_for(have_arrived)
        entries = [span for role in ("server", "consumer") for each in own(spans, role).values() for span in each]
        assert {span.attributes["coverage.complete"] for span in entries} == {True}
        assert not any(span.attributes.get("coverage.open") for span in entries)
        return {
            run: frozenset().union(*(span.functions for span in (*servers, *own(spans, "consumer")[run])))
            for run, servers in own(spans, "server").items()
        }


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory, redis_socket: Path) -> Iterator[Visited]:
    folder = tmp_path_factory.mktemp("visited")
    har, out = folder / "notebook.har", folder / "notebook"
    attachment = folder / "cards.csv"
    attachment.write_bytes(b"a,b\r\n1,2\r\n")
    redis = f"unix://{redis_socket}?db=3"
    with running_collector() as collector:
        tracing = {
            "OTEL_COVERAGE_ENABLED": "1",
            "OTEL_COVERAGE_SOURCE": str(DATA / "notebook"),
            "OTEL_COVERAGE_SPOOL": "off",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_RESOURCE_ATTRIBUTES": "vcs.ref.head.revision=first",
            "REDIS_URL": redis,
        }
        with serving(SERVER, **tracing) as client, running([*WORKER, redis], **tracing):
            url = str(client.base_url)
            with chromium() as browser:
                visit(browser, url, attachment, har)
                with recording(folder / "proxied", "proxied", url, "--fresh", OTHER) as recorder:
                    visit(browser, recorder.url, attachment, name=OTHER, profile=VISIT_BY_PROXY)
                shutil.copytree(recorder.folder / "profiles", folder / "renewed" / "profiles")
                password = {"PLAYBACK_PASSWORD": "another 1"}
                with recording(folder / "renewed", "proxied", url, "--from", "5", **password) as renewed:
                    go_on(browser, renewed.url, renewed.url.partition("/.")[0], attachment)
            done = otel_coverage(
                *("playback", "convert", str(har), "--out", str(out), "--fresh", NAME),
                *("--field", f"title={TITLE}", "--upload", f"attachment={attachment}"),
            )
            assert (done.returncode, done.stderr) == (0, "")
            yield Visited(url, collector, har, out / "recording.jsonl", json.loads(done.stdout), recorder, renewed)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("profile", "visit"), [("notebook", VISIT), ("proxied", VISIT_BY_PROXY)])
def test_a_recording_played_ten_times_in_turn_and_at_once_executes_what_the_browser_did(
    visited: Visited, profile: str, visit: str
) -> None:
    played = {"notebook": visited.recording, "proxied": visited.proxied}[profile]
    in_turn = visited.play("turn", "--repeat", str(TIMES), recording=played)
    at_once = visited.play("once", "--repeat", str(TIMES), "--concurrency", str(TIMES), recording=played)
    for code, stderr, outcomes in (in_turn, at_once):
        assert (code, stderr) == (0, ""), [each["failure"] for each in outcomes]
        assert [(each["outcome"], each["requests"], each["jobs"]) for each in outcomes] == [("passed", 8, 1)] * TIMES
    ((_, of_browser),) = visited.matrix(visit, 1, "").items()
    assert of_browser == EXECUTED
    found = {**visited.matrix(profile, TIMES, "turn"), **visited.matrix(profile, TIMES, "once")}
    names = [*(f"{run}.{number}" for run in ("turn", "once") for number in range(2, TIMES + 1)), "turn", "once"]
    assert found == dict.fromkeys(names, EXECUTED)


def test_the_proxy_writes_what_is_converted_of_a_har_file_and_has_the_upload_by_itself(visited: Visited) -> None:
    recorder = visited.recorder
    assert (recorder.code, recorder.result["notes"]) == (0, [])
    header, *steps = lines(visited.proxied)
    of_har, *expected = lines(visited.recording)
    for each in (*steps, *expected):
        each.pop("think", None)
    expected[3]["files"] = {"attachment": {"path": "uploads/cards.csv", "name": "cards.csv", "type": "text/csv"}}
    assert (steps, header["hosts"]) == (expected, of_har["hosts"])
    assert visited.proxied.with_name("uploads").joinpath("cards.csv").read_bytes() == b"a,b\r\n1,2\r\n"
    text = visited.proxied.read_text(encoding="utf-8")
    assert not [secret for secret in (PASSWORD, OTHER, recorder.url) if secret in text]
    assert oct(visited.proxied.stat().st_mode & 0o777) == "0o600"
    keys = ("requests", "redirects", "variables", "captures", "hosts")
    assert {key: recorder.result[key] for key in keys} == {key: visited.converted[key] for key in keys}


def test_the_first_lines_are_kept_and_played_and_what_the_browser_does_after_them_replaces_the_rest(
    visited: Visited,
) -> None:
    renewed = visited.renewed
    assert (renewed.code, renewed.result["notes"], renewed.result["requests"]) == (0, [], 8), renewed.said
    path = renewed.folder / "profiles" / "proxied" / "recording.jsonl"
    before, after = lines(visited.proxied), lines(path)
    for each in (*before[4:], *after[4:]):
        each.pop("think", None)
    assert after == before
    code, stderr, outcomes = visited.play("renewed", "--no-trace-code", recording=path)
    assert (code, stderr) == (0, ""), outcomes


def test_what_is_written_holds_the_workflow_and_neither_passwords_nor_tokens_nor_cookies(visited: Visited) -> None:
    text = visited.recording.read_text(encoding="utf-8")
    har = json.loads(visited.har.read_text(encoding="utf-8"))
    entries = [entry["request"] for entry in har["log"]["entries"]]
    cookies = {cookie["value"] for request in entries for cookie in request["cookies"]}
    tokens = {
        parameter["value"]
        for request in entries
        for parameter in request.get("postData", {}).get("params", ())
        if parameter["name"] == "csrf_token"
    }
    assert cookies
    assert tokens
    assert not [secret for secret in (PASSWORD, NAME, *cookies, *tokens) if secret in text]
    header, *steps = lines(visited.recording)
    assert header["profile"] == "notebook"
    assert [(step["method"], step["path"], step["status"], step.get("redirect")) for step in steps] == [
        ("GET", "/register", 200, None),
        ("POST", "/register", 302, "/login"),
        ("POST", "/login", 302, "/people/${run}"),
        ("POST", "/notes", 302, "/notes/*"),
        ("PUT", "/api/notes/${note_id}", 200, None),
        ("GET", "/api/notes/${note_id}/${revision}", 200, None),
        ("POST", "/api/notes/${note_id}/count", 202, None),
        ("POST", "/logout", 302, "/login"),
    ]
    assert steps[2]["form"] == {"csrf_token": "${csrf}", "name": "${run}", "password": "${env:PLAYBACK_PASSWORD}"}
    assert (steps[3]["form"]["title"], steps[3]["files"]) == (TITLE, {"attachment": "uploads/cards.csv"})
    assert visited.recording.with_name("uploads").joinpath("cards.csv").read_bytes() == b"a,b\r\n1,2\r\n"
    assert visited.converted["variables"] == ["PLAYBACK_PASSWORD"]
    assert visited.converted["captures"] == ["note_id", "revision"]
    assert (visited.converted["redirects"], visited.converted["left_out"].keys()) == (4, {"static"})
    assert oct(visited.recording.stat().st_mode & 0o777) == "0o600"


def test_results_are_written_for_programs_and_ci_systems(visited: Visited, tmp_path: Path) -> None:
    result, junit = tmp_path / "result.json", tmp_path / "junit.xml"
    options = ("--no-trace-code", "-v", "--result", str(result), "--junit", str(junit))
    code, stderr, _ = visited.play("results", *options)
    assert code == 0
    assert len(stderr.splitlines()) == 8
    assert "notebook  line 4  POST /login  302 → 200  " in stderr
    document = json.loads(result.read_text(encoding="utf-8"))
    assert list(Draft202012Validator(schema("result.json")).iter_errors(document)) == []
    assert (document["outcome"], document["traced"], document["not_played"]) == ("passed", False, [])
    assert [step["status"] for step in document["profiles"][0]["steps"]] == [200, 302, 302, 302, 200, 200, 202, 302]
    suites = ElementTree.parse(junit).getroot()
    assert (suites.get("tests"), suites.get("failures"), len(suites.findall("testsuite/testcase"))) == ("8", "0", 8)
    visited.play("traced-marker")  # whose spans arrive after all that the untraced run could have sent
    visited.matrix("notebook", 1, "traced-marker")
    assert not [s for s in visited.collector.spans if s.attributes.get("playback.run_id") == "results"]


def test_a_failed_request_is_in_the_results_and_those_after_it_are_not_sent(visited: Visited, tmp_path: Path) -> None:
    recording = tmp_path / "again" / "recording.jsonl"
    recording.parent.mkdir()
    header, *steps = lines(visited.recording)
    steps[2]["form"]["password"] = "wrong"
    recording.write_text("\n".join(map(json.dumps, [{**header, "profile": "again"}, *steps[:3], steps[7]])) + "\n")
    result, junit = tmp_path / "result.json", tmp_path / "junit.xml"
    done = otel_coverage(
        *("playback", "run", str(recording), "--base-url", visited.url, "--no-trace-code"),
        *("--result", str(result), "--junit", str(junit)),
        PLAYBACK_PASSWORD="another 1",
    )
    assert done.returncode == 1
    (profile,) = json.loads(result.read_text(encoding="utf-8"))["profiles"]
    assert [step["outcome"] for step in profile["steps"]] == ["passed", "passed", "failed", "not sent"]
    assert "line 4: POST /login: answered 401, expected 302" in profile["failure"]
    suite = ElementTree.parse(junit).getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")


def test_a_recording_that_needs_variables_is_not_begun_without_them(visited: Visited) -> None:
    done = otel_coverage("playback", "run", str(visited.recording), "--base-url", visited.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"otel-coverage: {visited.recording}: the environment lacks PLAYBACK_PASSWORD: recordings hold no passwords "
        "and no tokens, export PLAYBACK_PASSWORD=…\n"
    )


def test_every_line_is_as_the_published_schema_says(visited: Visited) -> None:
    validator = Draft202012Validator(schema("recording.jsonl"))
    assert [[error.message for error in validator.iter_errors(line)] for line in lines(visited.recording)] == [[]] * 9
