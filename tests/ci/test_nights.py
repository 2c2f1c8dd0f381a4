"""A night and a pull request, by the steps of the workflows that are written for a project."""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from otel_coverage.ci.workflows import NIGHTLY, PULL_REQUEST, profile_workflow
from otel_coverage.cli.main import cli
from tests.ci.conftest import LOGIN, LOGIN_VIEW, PLAIN, PROCESSES, Project
from tests.ci.runner import REPOSITORY, JobRun, WorkflowRun, new_runner
from tests.collecting.test_while_collecting import collecting
from tests.support.matrix import matrix

# of all of them together, which the first test sets up
pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True)
class Played:
    """What was played: a night whose profile `price` is absent, then a pull request that changes a function.

    Attributes:
        sha: the newest commit when the night began.
        index: the only profile's workflow that ran.
        night: the night's.
        pull: the pull request's.
        told: what the webhook was sent.
        comments: of the pull request.
    """

    sha: str
    index: WorkflowRun
    night: WorkflowRun
    pull: WorkflowRun
    told: list[Any]
    comments: list[str]

    def job(self, name: str) -> JobRun:
        """The only job of that id, of either."""
        (found,) = {**self.pull.jobs, "night": self.night.jobs["night"]}[name]
        return found


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    with tempfile.TemporaryDirectory(prefix="nights-") as text, webhook() as (url, told):
        folder = Path(text)
        project = Project.make(folder / "project")
        write_workflows(project)
        runner = new_runner(project.folder, folder / "runner", secrets={"NIGHT_WEBHOOK": url})
        night_before = {"GIT_COMMITTER_DATE": f"{datetime.now(timezone.utc) - timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"}
        sha = project.commit(**night_before)
        project.write("tea/late.py", "def too_late_for_the_night():\n    return 1\n")
        late = project.commit()
        index = runner.run(profile_workflow("index"), sha=late)
        night = runner.run(NIGHTLY, sha=late)
        project.git("checkout", "--quiet", "-b", "feature")
        project.write("tea/__init__.py", project.read("tea/__init__.py").replace('"welcome"', '"good morning"'))
        pull = runner.run(
            PULL_REQUEST,
            sha=project.commit(),
            event="pull_request",
            ref="2/merge",
            base_ref="main",
            event_content={"number": 2, "pull_request": {"head": {"repo": {"full_name": REPOSITORY}}}},
        )
        comments = sorted((runner.folder / "comments").iterdir())
        yield Played(sha, index, night, pull, told, [each.read_text() for each in comments])


@pytest.fixture(scope="module")
def stored() -> Iterator[tuple[WorkflowRun, WorkflowRun]]:
    """A profile's workflow and the night's, of a project whose nights are all sent to one store."""
    with tempfile.TemporaryDirectory(prefix="stored-") as text, collecting(f"chdb://{text}/store") as collector:
        folder = Path(text)
        project = Project.make(folder / "project")
        endpoint = f"http://{collector.endpoints['OTLP/gRPC']}"
        project.write("pyproject.toml", f'{PLAIN}store = "STORE"\ncollector = "{endpoint}"\n{PROCESSES}')
        write_workflows(project)
        sha = project.commit()
        runner = new_runner(project.folder, folder / "runner", secrets={"STORE": f"chdb://{text}/store"})
        yield runner.run(profile_workflow("index"), sha=sha), runner.run(NIGHTLY, sha=sha)


@pytest.fixture(scope="module")
def logins() -> Iterator[tuple[WorkflowRun, WorkflowRun]]:
    """The workflow of a profile whose recording needs a password: without the secret, and with it."""
    with tempfile.TemporaryDirectory(prefix="logins-") as text:
        folder = Path(text)
        project = Project.make(folder / "project")
        project.write("pyproject.toml", f"{PLAIN}{PROCESSES}")
        project.write("profiles/login.jsonl", LOGIN)
        project.write("tea/__init__.py", project.read("tea/__init__.py") + LOGIN_VIEW)
        write_workflows(project)
        sha = project.commit()
        without = new_runner(project.folder, folder / "without")
        given = new_runner(project.folder, folder / "given", secrets={"PLAYBACK_PASSWORD": "oolong"})
        yield without.run(profile_workflow("login"), sha=sha), given.run(profile_workflow("login"), sha=sha)


def write_workflows(project: Project) -> None:
    before = Path.cwd()
    os.chdir(project.folder)
    try:
        written = CliRunner().invoke(cli, ["ci", "github"], catch_exceptions=False)
    finally:
        os.chdir(before)
    assert written.exit_code == 0, written.output


@contextmanager
def webhook() -> Iterator[tuple[str, list[Any]]]:
    """The URL of a server, and what it was sent."""
    told: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", told
        server.shutdown()
        thread.join()


def test_a_profile_is_played_and_leaves_its_store(played: Played) -> None:
    (index,) = played.index.jobs["play"]
    assert index.result == "success", index.text
    left = {each.name for each in (played.index.artifacts / "coverage-index").iterdir()}
    assert left == {"index.store", "perf-baseline.json", "playback.xml", "result.json", "run"}


def test_an_absent_profile_is_named_and_makes_the_night_red(played: Played) -> None:
    night = played.job("night")
    step = night.step("Is the night complete?")
    assert step.outcome == "failure", night.text
    assert re.search(r"::error title=Profiles are absent::run night-[0-9-]{10} has nothing of price\n", step.output)


def test_gates_judge_the_coverage_and_what_tracing_costs(played: Played) -> None:
    said = played.job("night").step("Gates").output
    assert "passed: functions of the source: 2 of 4 functions are executed" in said
    assert "overhead: tracing takes" in said  # how much is this machine's affair
    assert "Tracing takes" in played.job("night").summary


def test_the_webhook_is_told_of_it(played: Played) -> None:
    (message,) = played.told
    (run,) = (played.night.artifacts / "night" / "run").read_text().split()
    assert message == {
        "text": f"{REPOSITORY}: the coverage of {run} is absent or incomplete, nothing of price: "
        f"https://github.com/{REPOSITORY}/actions/runs/{played.night.number}"
    }


def test_a_night_is_of_the_commit_that_was_the_newest_when_it_began(played: Played) -> None:
    assert (played.night.artifacts / "night" / "revision").read_text().split() == [played.sha]


def test_the_night_has_a_report_of_what_was_played(played: Played) -> None:
    report = played.night.artifacts / "report"
    assert matrix(report) == {"index": ["tea:index@6", "tea:greeting@16"]}
    assert {"index.html", "reverse-index.json", "gaps.json", "summary.md"} <= {each.name for each in report.iterdir()}
    assert (report / "summary.md").read_text() == played.job("night").summary


def test_a_pull_request_plays_what_its_change_concerns(played: Played) -> None:
    assert played.job("impacted").result == "success", played.job("impacted").text
    # the night knows nothing of `price`, so it may execute what changed
    assert json.loads(played.job("impacted").outputs["matrix"]) == {"profile": ["index", "price"]}
    assert [job.result for job in played.pull.jobs["play"]] == ["success", "success"], played.pull.text


def test_its_comment_says_what_is_executed_of_the_change(played: Played) -> None:
    assert played.job("coverage").result == "success", played.pull.text
    (comment,) = played.comments
    assert comment.startswith("<!-- otel-coverage -->\n### Coverage of the change\n")
    assert "1 of 1 function" in comment
    assert "Replay 2 of 2 profiles." in comment
    assert "[index](https://tea.example/index.html#/profile/index)" in comment
    assert comment == played.job("coverage").summary


def test_a_night_can_be_read_from_a_store_that_all_profiles_are_sent_to(
    stored: tuple[WorkflowRun, WorkflowRun],
) -> None:
    index, night = stored
    assert index.passed, index.text
    assert not (index.artifacts / "coverage-index" / "index.store").exists()
    (job,) = night.jobs["night"]
    assert job.step("Who was played?").outputs == {"absent": "price"}, job.text
    assert matrix(night.artifacts / "report") == {"index": ["tea:index@6", "tea:greeting@16"]}


def test_a_recording_is_played_with_the_secrets_that_it_needs(logins: tuple[WorkflowRun, WorkflowRun]) -> None:
    _, given = logins
    assert given.passed, given.text
    assert (given.artifacts / "coverage-login" / "login.store").exists()


def test_without_its_secret_a_profile_is_not_played_and_nothing_is_waited_for(
    logins: tuple[WorkflowRun, WorkflowRun],
) -> None:
    without, _ = logins
    (job,) = without.jobs["play"]
    said = job.step("Play").output
    assert job.result == "failure"
    assert "the environment lacks PLAYBACK_PASSWORD" in said
    assert "::error title=Not played::the profile login" in said
    assert said.count("::error") == 1, "and nobody asks for its run"
    assert {each.name for each in (without.artifacts / "coverage-login").iterdir()} == {"run"}  # so the night names it


def test_a_profile_that_is_not_played_leaves_no_collector_behind(logins: tuple[WorkflowRun, WorkflowRun]) -> None:
    for run in logins:
        (job,) = run.jobs["play"]
        assert not [each for each in job.left if " collect " in each], job.text
