"""Flask, FastAPI and a class of workers over one package, a client that knows one header: who executes what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from rq import Worker

from tests.collecting.test_while_collecting import COMMAND, collecting
from tests.support.collector import Collector, ReceivedSpan, collector
from tests.support.commands import RUN, clean_environment, running, wait_for_answer, wait_until, wait_until_sent
from tests.support.matrix import matrix
from tests.support.ports import free_port
from tests.support.redis import redis_socket, redis_url

__all__ = ["collector", "redis_socket", "redis_url"]

STACK = Path(__file__).parents[2] / "examples" / "stack"
SOURCE = str(STACK / "basin")
REVISION = "0" * 40
SECONDS = 120.0  # for a job, however busy the machine is


def of(module: str, names: str) -> frozenset[str]:
    return frozenset(f"basin.{module}:{name}" for name in names.split())


# Written by hand, from examples/stack alone. Never generate or correct it from the output of otel-coverage.
SESSION = (
    of("web", "check_csrf login_form log_in home open_run show_run require_user")
    | of("runs", "new put results redis")
    | of("engine", "known_run job")
    | of("queueing", "later state")
)
JOB = of("workers", "BasinWorker.perform_job BasinWorker.describe BasinWorker.handle_job_success BasinWorker.tell")
SUBMIT = of("engine", "submit")
DELINEATE = SUBMIT | of("engine", "delineate") | of("jobs", "delineate") | of("model", "delineate _area")
WEATHER = of("engine", "weather") | of("jobs", "weather") | of("model", "weather")
OBSERVED, GENERATED = WEATHER | of("model", "_observed"), WEATHER | of("model", "_generated")
RUNOFF = (
    SUBMIT
    | of("engine", "run_off")
    | of("jobs", "run_off summarize")
    | of("model", "runoff Soil.__init__ Soil.runs_off")
)
BURN = SUBMIT | of("engine", "burn note") | of("jobs", "burn") | of("model", "Soil.burned")
ARCHIVE = SUBMIT | of("engine", "archive") | of("jobs", "archive") | of("archive", "main pack")
MATRIX = {
    "hillslopes": SESSION | JOB | DELINEATE,
    "observed-weather": SESSION | JOB | OBSERVED,
    "generated-weather": SESSION | JOB | GENERATED,
    "runoff": SESSION | JOB | OBSERVED | RUNOFF,
    "fire": SESSION | JOB | GENERATED | BURN | RUNOFF,
    "archive": SESSION | JOB | DELINEATE | ARCHIVE,
}
JOBS = {
    "hillslopes": ["delineate"],
    "observed-weather": ["weather"],
    "generated-weather": ["weather"],
    "runoff": ["run_off", "summarize", "weather"],
    "fire": ["burn", "run_off", "summarize", "weather"],
    "archive": ["archive", "delineate"],
}


@dataclass(frozen=True)
class Stack:
    """The URLs of its services."""

    web: str
    engine: str

    def client(self, profile: str) -> list[str]:
        """The command that plays a profile."""
        urls = ["--web", self.web, "--engine", self.engine, "--patience", str(SECONDS)]
        return [sys.executable, str(STACK / "client.py"), profile, *urls]


@contextmanager
def running_stack(redis: str, endpoint: str) -> Iterator[Stack]:
    """Its services, when all of them are ready, the six workers included."""
    web, engine = free_port(), free_port()
    workers = ["rq", "worker-pool", "-n", "6", "--url", redis, "--worker-class", "basin.workers.BasinWorker", "basin"]
    gunicorn = ["gunicorn", "--no-control-socket", "--bind", f"127.0.0.1:{web}", "--workers", "4", "--threads", "2"]
    path = os.pathsep.join(filter(None, [str(STACK), os.environ.get("PYTHONPATH", "")]))
    shared = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": SOURCE,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": f"vcs.ref.head.revision={REVISION}",
        "REDIS_URL": redis,
        "PYTHONPATH": path,
    }
    with ExitStack() as services:
        processes = [
            services.enter_context(running([*RUN, *command], **shared, OTEL_SERVICE_NAME=command[0]))
            for command in (
                [*gunicorn, "--max-requests", "1000", "basin.web:app"],
                ["uvicorn", "--port", str(engine), "basin.engine:app"],
                workers,
            )
        ]
        for process, port in zip(processes, (web, engine), strict=False):
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                wait_for_answer(client, process)
        with Redis.from_url(redis) as connection:
            wait_until(lambda: len(Worker.all(connection)) == 6)
        yield Stack(f"http://127.0.0.1:{web}", f"http://127.0.0.1:{engine}")


def play(commands: Mapping[str, Sequence[str]], *, at_once: bool) -> dict[str, str]:
    """Run the command of each profile. Returns what each has said on stderr; all exit with 0."""

    def one(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=clean_environment(), capture_output=True, text=True, check=False, timeout=4 * SECONDS
        )

    with ThreadPoolExecutor(len(commands) if at_once else 1) as players:
        done = dict(zip(commands, players.map(one, commands.values()), strict=True))
    assert {profile: (ended.returncode, ended.stderr) for profile, ended in done.items() if ended.returncode} == {}
    return {profile: ended.stderr for profile, ended in done.items()}


def with_role(spans: list[ReceivedSpan], role: str) -> list[ReceivedSpan]:
    return [span for span in spans if span.role == role]


@pytest.mark.row("stack of Flask, FastAPI and a worker class", "one after the other")
def test_each_profile_of_the_stack_executes_what_was_worked_out_by_hand(collector: Collector, redis_url: str) -> None:
    with running_stack(redis_url, collector.endpoint) as stack:
        play({profile: stack.client(profile) for profile in MATRIX}, at_once=False)
        jobs = sum(map(len, JOBS.values()))
        collector.wait_for(lambda spans: len(with_role(spans, "consumer")) >= jobs)
    wait_until_sent()
    arrived = [span for span in collector.spans if "playback.profile" in span.attributes]
    found: dict[str, frozenset[str]] = {}
    for span in arrived:
        profile = str(span.attributes["playback.profile"])
        found[profile] = found.get(profile, frozenset()) | span.functions
    assert found == MATRIX
    incomplete = [span for span in arrived if span.attributes.get("coverage.complete") is False]
    assert [(span.name, span.attributes["coverage.incomplete_detail"]) for span in incomplete] == []
    performed = {
        profile: sorted(
            str(span.attributes["messaging.rq.function"]).rpartition(".")[2]
            for span in with_role(arrived, "consumer")
            if span.attributes["playback.profile"] == profile
        )
        for profile in MATRIX
    }
    assert performed == JOBS
    calls = {span.span_id for span in with_role(arrived, "producer")}
    assert {span.parent_id for span in with_role(arrived, "consumer")} == calls


@pytest.mark.since(3, 11)  # what the store needs
@pytest.mark.row("stack of Flask, FastAPI and a worker class", "six at once, by playback exec")
def test_the_report_of_a_run_of_six_windows_has_what_each_profile_executes(redis_url: str, tmp_path: Path) -> None:
    store = f"chdb://{tmp_path}/store"
    with collecting(store) as collector:
        otel_coverage("catalog", "push", "--store", store, "--source", SOURCE, "--revision", REVISION)
        with running_stack(redis_url, f"http://{collector.endpoints['OTLP/gRPC']}") as stack:
            window = [*COMMAND, "playback", "exec", "--store", store, "--run-id", "night"]
            said = play({profile: [*window, profile, "--", *stack.client(profile)] for profile in MATRIX}, at_once=True)
        wait_until_sent()
        collector.end()
    report = ("report", "--store", store, "--source", SOURCE, "--run", "night", "--fail-on-incomplete")
    otel_coverage(*report, "--out", str(tmp_path / "report"))
    assert reported(tmp_path / "report") == MATRIX
    assert said == dict.fromkeys(MATRIX, "otel-coverage: run night\n")
    found = ask(store, **QUESTIONS)
    assert sorted(found["runs"], key=itemgetter("profile")) == [
        {
            "profile": profile,
            "run": "night",
            "evidence": "window",
            "outcome": "passed",
            "jobs": len(JOBS[profile]),
            "complete": True,
        }
        for profile in sorted(MATRIX)
    ]
    assert {row["profile"]: row["functions"] for row in found["performed"]} == JOBS
    assert found["homeless"] == []


QUESTIONS = {
    "runs": "SELECT profile, run, evidence, outcome, jobs, complete FROM profile_runs",
    "performed": (
        "SELECT profile, arraySort(groupArray(extract(function, '\\w+$'))) AS functions FROM ("
        " SELECT DISTINCT profile, trace, span, toString(entry_point) AS function"
        " FROM coverage_spans WHERE role = 'consumer'"
        ") GROUP BY profile"
    ),
    "homeless": (
        "SELECT name FROM coverage_spans WHERE role = 'consumer'"
        " AND (trace, parent) NOT IN (SELECT trace, span FROM coverage_spans WHERE role = 'producer')"
    ),
}


def ask(store: str, **questions: str) -> dict[str, list[dict[str, Any]]]:
    """Rows by the name of the question; in a process of its own, since one opens one embedded store."""
    command = [sys.executable, "-m", "tests.end_to_end.run_queries", store]
    done = subprocess.run(
        command, input=json.dumps(questions), capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    rows: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return rows


def otel_coverage(*arguments: str) -> str:
    """What the command prints; it exits with 0."""
    done = subprocess.run(
        [*COMMAND, *arguments], env=clean_environment(), capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def reported(folder: Path) -> dict[str, frozenset[str]]:
    """The functions of each profile, by a report's ``matrix.json``."""
    return {
        profile: frozenset(symbol.rpartition("@")[0] for symbol in symbols)
        for profile, symbols in matrix(folder).items()
    }
