"""Plays the runner of GitHub Actions: a workflow's jobs, with their own steps, on this machine.

Shell steps are run as they stand, in their order, in a checkout of the job's own. Of the actions that our workflows
use, ``checkout`` clones the repository, ``upload-artifact`` and ``download-artifact`` copy files; ``gh``, which asks
GitHub, is a program of ours (``gh.py``) that knows the runs before. Services are processes. Ports are free ones.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from otel_coverage.demo.redis import find_redis
from tests.ci import expressions
from tests.support.ports import free_port
from tests.support.processes import processes_with

_FIXED = ("http://127.0.0.1:8000", "127.0.0.1:4317", "http://127.0.0.1:4317", "8000")  # free ports stand for them
BIN = Path(sys.executable).parent
REPOSITORY = "example/shop"


@dataclass(frozen=True)
class StepRun:
    """What became of a step.

    Attributes:
        name: of the step.
        outcome: ``success``, ``failure`` or ``skipped``.
        output: what it printed, on stdout and stderr.
        outputs: what it wrote to ``GITHUB_OUTPUT``.
    """

    name: str
    outcome: str
    output: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobRun:
    """What became of a job.

    Attributes:
        name: its id, with the values of its matrix.
        result: ``success``, ``failure`` or ``skipped``.
        steps: in their order.
        summary: what they wrote to ``GITHUB_STEP_SUMMARY``.
        outputs: of the job.
        left: the commands of processes that its last step left running; they are killed then.
    """

    name: str
    result: str
    steps: Sequence[StepRun] = ()
    summary: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    left: Sequence[str] = ()

    def step(self, name: str) -> StepRun:
        """A step by its name."""
        return next(each for each in self.steps if each.name == name)

    @property
    def text(self) -> str:
        """All that is known of it, for messages."""
        steps = (f"--- {each.name}: {each.outcome}\n{each.output}" for each in self.steps)
        return "\n".join([f"=== {self.name}: {self.result}", *steps])


@dataclass(frozen=True)
class WorkflowRun:
    """What became of a workflow.

    Attributes:
        number: of the run.
        jobs: by id; of a matrix all.
        artifacts: the folder that has a folder for each.
    """

    number: int
    jobs: Mapping[str, Sequence[JobRun]]
    artifacts: Path

    @property
    def passed(self) -> bool:
        """Whether no job failed."""
        return all(job.result != "failure" for jobs in self.jobs.values() for job in jobs)

    @property
    def text(self) -> str:
        """All that is known of it, for messages."""
        return "\n".join(job.text for jobs in self.jobs.values() for job in jobs)


@dataclass
class Runner:
    """Runs workflows of a repository.

    Attributes:
        repository: a git repository.
        folder: for checkouts, artifacts and what ``gh`` knows; short, as sockets may be in it.
        secrets: name → value.
        installed: names of steps that are not run, since what they install is there.
        jobs: how many run at once.
        say: called with a line for each job that has ended.
    """

    repository: Path
    folder: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    installed: Sequence[str] = ("Install",)
    jobs: int = 2
    say: Callable[[str], object] = lambda text: None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(101))

    def run(
        self,
        workflow: str,
        *,
        sha: str,
        event: str = "schedule",
        ref: str = "main",
        base_ref: str = "",
        event_content: Mapping[str, Any] | None = None,
    ) -> WorkflowRun:
        """Run a workflow's jobs, each after those that it needs.

        Args:
            workflow: the file's name.
            sha: the commit that is checked out.
            event: that set it off.
            ref: the branch.
            base_ref: of a pull request, the branch that it is for.
            event_content: what the context has as ``github.event``.
        """
        number = next(self._numbers)
        document = yaml.safe_load(self._git("show", f"{sha}:.github/workflows/{workflow}"))
        context = {
            "github": {
                "base_ref": base_ref,
                "event": event_content or {},
                "event_name": event,
                "ref_name": ref,
                "repository": REPOSITORY,
                "run_attempt": "1",
                "run_id": str(number),
                "sha": sha,
                "token": "of the runner",
            },
            "secrets": self.secrets,
        }
        artifacts = self.folder / "artifacts" / str(number)
        artifacts.mkdir(parents=True)
        found: dict[str, list[JobRun]] = {}
        for name, job in document["jobs"].items():
            needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            assert all(each in found for each in needs), "jobs stand after those that they need"
            given = {**context, "needs": {each: _needed(found[each]) for each in needs}}
            found[name] = self._run_jobs(name, job, document, given, artifacts)
        run = WorkflowRun(number, found, artifacts)
        (artifacts.parent / f"{number}.json").write_text(
            json.dumps({"workflow": workflow, "branch": ref, "passed": run.passed})
        )
        return run

    def _run_jobs(
        self,
        name: str,
        job: Mapping[str, Any],
        document: Mapping[str, Any],
        context: Mapping[str, Any],
        artifacts: Path,
    ) -> list[JobRun]:
        results = [each["result"] for each in context["needs"].values()]
        if not _is_due(job.get("if"), {**context, **_status("failure" if {*results} - {"success"} else "success")}):
            return [JobRun(name, "skipped")]
        matrix = job.get("strategy", {}).get("matrix", {})
        matrix = expressions.value(matrix, context) if isinstance(matrix, str) else matrix
        combined = [dict(zip(matrix, values, strict=True)) for values in itertools.product(*matrix.values())]
        with ThreadPoolExecutor(self.jobs) as pool:
            return list(
                pool.map(
                    lambda each: self._run_job(name, job, document, {**context, "matrix": each}, artifacts), combined
                )
            )

    def _run_job(
        self,
        name: str,
        job: Mapping[str, Any],
        document: Mapping[str, Any],
        context: Mapping[str, Any],
        artifacts: Path,
    ) -> JobRun:
        shown = " ".join([name, *map(str, context["matrix"].values())])
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="job-") as text, ExitStack() as services:
            ports = {
                service: {"ports": {str(each["ports"][0]): services.enter_context(_redis(Path(text)))}}
                for service, each in job.get("services", {}).items()
            }
            run = _Job(self, Path(text), document, job, {**context, "job": {"services": ports}}, artifacts)
            found = replace(run.run(shown), left=_end_processes(run.temp))
        self.say(f"{found.result:8} {shown}")
        return found

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(self.repository), *arguments], check=True, capture_output=True, text=True
        ).stdout


class _Job:
    """A job in progress."""

    def __init__(
        self,
        runner: Runner,
        folder: Path,
        document: Mapping[str, Any],
        job: Mapping[str, Any],
        context: Mapping[str, Any],
        artifacts: Path,
    ) -> None:
        self.runner, self.job, self.artifacts = runner, job, artifacts
        self.temp, self.workspace = folder / "temp", folder / "work"
        self.temp.mkdir()
        self.workspace.mkdir()
        self.context = {**context, "runner": {"temp": str(self.temp)}, "steps": {}}
        self.status = "success"
        settings = {**document.get("defaults", {}).get("run", {}), **job.get("defaults", {}).get("run", {})}
        self.folder_of_steps = settings.get("working-directory", ".")
        self.environment = self._environment(document)

    def run(self, name: str) -> JobRun:
        """Run its steps."""
        steps, summary = [], self.temp / "summary.md"
        summary.touch()
        for number, step in enumerate(self.job["steps"]):
            found = self._step(step, self.temp / f"step-{number}", summary)
            steps.append(found)
            if found.outcome == "failure":
                self.status = "failure"
            if "id" in step:
                self.context["steps"][step["id"]] = {"outcome": found.outcome, "outputs": dict(found.outputs)}
        outputs = {
            key: expressions.filled(str(each), self.context) for key, each in self.job.get("outputs", {}).items()
        }
        return JobRun(name, self.status, steps, summary.read_text(), outputs)

    def _environment(self, document: Mapping[str, Any]) -> dict[str, str]:
        github = self.context["github"]
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OTEL_", "GITHUB_", "PYTEST_", "COVERAGE_", "BAGGAGE"))
        }
        own = {
            **_filled(document.get("env", {}), self.context),
            **_filled(self.job.get("env", {}), self.context),
        }
        port, collector = free_port(), free_port()
        ports = {
            "BASE_URL": f"http://127.0.0.1:{port}",
            "COLLECTOR": f"127.0.0.1:{collector}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector}",
            "PORT": str(port),
        }
        return {
            **kept,
            **own,
            **{name: value for name, value in ports.items() if own.get(name) in _FIXED},
            "CI": "true",
            "GH_FAKE": str(self.runner.folder),
            "GITHUB_ACTIONS": "true",
            "GITHUB_BASE_REF": str(github.get("base_ref", "")),
            "GITHUB_EVENT_NAME": github["event_name"],
            "GITHUB_REF_NAME": github["ref_name"],
            "GITHUB_REPOSITORY": github["repository"],
            "GITHUB_RUN_ID": github["run_id"],
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": github["sha"],
            "GITHUB_WORKSPACE": str(self.workspace),
            "HOME": str(self.temp.parent),
            "PATH": os.pathsep.join([str(self.runner.folder / "bin"), str(BIN), os.environ["PATH"]]),
            "RUNNER_TEMP": str(self.temp),
            "XDG_CACHE_HOME": str(self.temp.parent / "cache"),
            "XDG_STATE_HOME": str(self.temp.parent / "state"),
        }

    def _step(self, step: Mapping[str, Any], folder: Path, summary: Path) -> StepRun:
        name = step.get("name", step.get("uses", "run"))
        if not _is_due(step.get("if"), {**self.context, **_status(self.status), "env": self.environment}):
            return StepRun(name, "skipped")
        if "uses" in step:
            return self._use(name, step["uses"].partition("@")[0], _filled(step.get("with", {}), self.context))
        if name in self.runner.installed:
            return StepRun(name, "success", "what it installs is there\n")
        folder.mkdir()
        files = {each: folder / each for each in ("GITHUB_OUTPUT", "GITHUB_ENV")}
        for each in files.values():
            each.touch()
        script = folder / "script.sh"
        script.write_text(expressions.filled(step["run"], self.context))
        environment = {
            **self.environment,
            **_filled(step.get("env", {}), {**self.context, "env": self.environment}),
            **{each: str(path) for each, path in files.items()},
            "GITHUB_STEP_SUMMARY": str(summary),
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.workspace / self.folder_of_steps,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.environment.update(_pairs(files["GITHUB_ENV"]))
        outcome = "failure" if done.returncode else "success"
        return StepRun(name, outcome, done.stdout, _pairs(files["GITHUB_OUTPUT"]))

    def _use(self, name: str, action: str, given: Mapping[str, str]) -> StepRun:
        if action == "actions/checkout":
            source, sha = str(self.runner.repository), self.context["github"]["sha"]
            subprocess.run(["git", "clone", "--quiet", source, str(self.workspace)], check=True)
            subprocess.run(["git", "-C", str(self.workspace), "checkout", "--quiet", sha], check=True)
        elif action == "actions/upload-artifact":
            return self._upload(name, given)
        elif action == "actions/download-artifact":
            return self._download(name, given)
        else:
            assert action == "actions/setup-python", f"{action}: the runner does not know it"
        return StepRun(name, "success")

    def _upload(self, name: str, given: Mapping[str, str]) -> StepRun:
        source, target = Path(given["path"]), self.artifacts / given["name"]
        if not source.exists() or (source.is_dir() and not any(source.iterdir())):
            is_error = given.get("if-no-files-found") == "error"
            return StepRun(name, "failure" if is_error else "success", f"no files in {source}\n")
        shutil.rmtree(target, ignore_errors=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            target.mkdir()
            shutil.copy(source, target)
        return StepRun(name, "success", outputs={"artifact-url": f"https://github.com/artifacts/{given['name']}"})

    def _download(self, name: str, given: Mapping[str, str]) -> StepRun:
        target = Path(given["path"])
        target.mkdir(parents=True, exist_ok=True)
        if "name" in given:
            source = self.artifacts / given["name"]
            if not source.is_dir():
                return StepRun(name, "failure", f"no artifact {given['name']}\n")
            shutil.copytree(source, target, dirs_exist_ok=True)
            return StepRun(name, "success")
        for source in self.artifacts.iterdir():
            if fnmatch.fnmatchcase(source.name, given["pattern"]):
                shutil.copytree(source, target / source.name)
        return StepRun(name, "success")


def new_runner(repository: Path, folder: Path, **settings: Any) -> Runner:
    """A runner in an empty folder."""
    (folder / "bin").mkdir(parents=True)
    gh = folder / "bin" / "gh"
    gh.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("gh.py")} "$@"\n')
    gh.chmod(0o755)
    return Runner(repository, folder, **settings)


@contextmanager
def _redis(folder: Path) -> Iterator[int]:
    """The port of a Redis server."""
    port = free_port()
    command = [find_redis(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "Ready to accept connections" in line:
                    break
            else:
                raise AssertionError("Redis did not start")
            yield port
        finally:
            process.kill()


def _end_processes(temp: Path) -> list[str]:
    """Kill what was left running of the job that has the folder, as the runner does. Returns the commands."""
    left = processes_with("RUNNER_TEMP", str(temp))
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    while processes_with("RUNNER_TEMP", str(temp)):  # the job's folder is deleted next
        time.sleep(0.01)
    return [each.command for each in left]


def _needed(jobs: Sequence[JobRun]) -> dict[str, Any]:
    results = {job.result for job in jobs}
    worst = next((each for each in ("failure", "skipped") if each in results), "success")
    return {"result": worst, "outputs": dict(jobs[-1].outputs) if jobs else {}}


def _status(status: str) -> dict[str, Callable[[], bool]]:
    return {
        "always()": lambda: True,
        "cancelled()": lambda: False,
        "failure()": lambda: status == "failure",
        "success()": lambda: status == "success",
    }


def _is_due(condition: object, context: Mapping[str, Any]) -> bool:
    """Whether a job or a step is to be run; without a function of the status, only where nothing has failed."""
    if condition is None:
        return bool(context["success()"]())
    text = str(condition)
    names_status = any(f"{each}()" in text for each in ("always", "cancelled", "failure", "success"))
    return bool(expressions.value(text, context)) and (names_status or bool(context["success()"]()))


def _filled(table: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, str]:
    return {name: expressions.filled(_yaml(value), context) for name, value in table.items()}


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pairs(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
