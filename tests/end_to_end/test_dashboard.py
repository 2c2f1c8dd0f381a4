"""The report about rq-dashboard 0.9.0, compared with what its source says, read by hand, and with coverage.py."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import coverage
import pytest
import rq_dashboard  # type: ignore[import-untyped]

from otel_coverage import catalog
from otel_coverage.collecting import Collector, Endpoint
from otel_coverage.reporting.contents import Contents
from otel_coverage.reporting.profiles.sources import Sources
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import write_report
from otel_coverage.source import SourceTree
from otel_coverage.store import open_store, schema
from tests.end_to_end.once import once
from tests.end_to_end.played import environment
from tests.support import dashboard
from tests.support.commands import wait_until_sent
from tests.support.redis import emptied, redis_socket

__all__ = ["redis_socket"]

SLUGS = sorted(dashboard.PROFILES)
PACKAGE = Path(rq_dashboard.__file__).parent

VIEW = {"push_rq_connection", "escape_format_instance_list", "inject_interval"}  # of a page, rendered by a template
DATA = {"push_rq_connection", "jsonify.<locals>._wrapped"}
A_JOB = {"serialize_date", "format_job_description"}
JOBS = {"list_jobs", "get_queue_registry_jobs_count", "serialize_job", "pagination_window", "remove_none_values"}

# entry point: the function that answers, the profiles that ask, how often, the functions of rq_dashboard.web that run.
# Each profile makes four requests: one with fewer begins again.
EXPECTED: dict[str, tuple[str, list[str], int, set[str]]] = {
    "GET /": ("queues_overview", ["overview"], 1, VIEW | {"queues_overview"}),
    # the index is out of range, which is found before the view
    "GET /<int:instance_number>/view/queues": ("queues_overview", ["overview"], 1, {"push_rq_connection"}),
    "GET /<int:instance_number>/data/queues.json": (
        "list_queues",
        ["overview"],
        1,
        DATA | {"list_queues", "serialize_queues"},
    ),
    "GET /favicon.ico": ("favicon", ["overview"], 1, {"push_rq_connection", "favicon"}),
    "GET /<int:instance_number>/view/workers": ("workers_overview", ["workers"], 2, VIEW | {"workers_overview"}),
    "GET /<int:instance_number>/data/workers.json": (
        "list_workers",
        ["workers"],
        2,
        DATA | {"list_workers", "list_workers.<locals>.serialize_queue_names", "serialize_current_job"},
    ),
    "GET /<int:instance_number>/view/jobs": ("jobs_overview", ["pages"], 2, VIEW | {"jobs_overview"}),
    "GET /<int:instance_number>/view/jobs/<queue_name>/<registry_name>/<int:per_page>/<order>/<int:page>": (
        "jobs_overview",
        ["pages"],
        1,
        VIEW | {"jobs_overview"},
    ),
    "GET /<int:instance_number>/view/job/<job_id>": ("job_view", ["pages"], 1, VIEW | {"job_view"}),
    "GET /<int:instance_number>/data/jobs/<queue_name>/<registry_name>/<per_page>/<order>/<page>.json": (
        "list_jobs",
        ["failed", "queued"],
        6,
        DATA | JOBS | A_JOB,
    ),
    "GET /<int:instance_number>/data/job/<job_id>.json": (
        "job_info",
        ["failed", "job"],
        6,
        DATA | A_JOB | {"job_info"},
    ),
}

NOT_REACHED = {
    "GET /<int:instance_number>/": "queues_overview",
    "GET /<int:instance_number>/view": "queues_overview",
    "POST /job/<job_id>/delete": "delete_job_view",
    "POST /job/<job_id>/requeue": "requeue_job_view",
    "GET /requeue/<queue_name>": "requeue_all",
    "POST /requeue/<queue_name>": "requeue_all",
    "POST /queue/<queue_name>/<registry_name>/empty": "empty_queue",
    "POST /queue/<queue_name>/compact": "compact_queue",
    "GET /static/<path:filename>": "",
}

# functions of the source that no request executes: what is only run at start, what changes jobs, what nobody asks for
GAPS = {
    "rq_dashboard.app": ["_apply_environment_config", "_normalize_prefix", "_str_to_bool", "create_app"],
    "rq_dashboard.cli": [
        "add_basic_auth",
        "add_basic_auth.<locals>.basic_http_auth",
        "main",
        "make_flask_app",
        "run",
    ],
    "rq_dashboard.legacy_config": ["upgrade_config"],
    "rq_dashboard.web": [
        "check_delete_enable",
        "check_delete_enable.<locals>.wrapper",
        "compact_queue",
        "delete_job_view",
        "empty_queue",
        "jsonify",
        "requeue_all",
        "requeue_job_view",
        "setup_rq_connection",
    ],
}


@dataclass(frozen=True)
class Dashboard:
    """The folder of the report, and what coverage.py finds of the same requests in a process of its own."""

    out: Path
    alone: dict[str, Any]

    def document(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.out / name).read_text(encoding="utf-8")))


@pytest.fixture
def reported(tmp_path_factory: pytest.TempPathFactory, store_folder: Path, redis_socket: Path) -> Dashboard:
    dsn = f"chdb://{store_folder}?database=dashboard"

    def make(folder: Path) -> dict[str, Any]:
        with emptied(redis_socket) as redis_url, open_store(dsn, create=True) as store:
            schema.apply(store)
            dashboard.fill(redis_url)
            with Collector(Endpoint.parse("127.0.0.1:0")) as collector:
                collector.start(store)
                endpoint = f"http://{collector.endpoints['OTLP/gRPC']}"
                attributes = {"OTEL_RESOURCE_ATTRIBUTES": "vcs.ref.head.revision=v0.9.0"}
                dashboard.play(["-k", "gthread"], 1, redis_url, endpoint, **attributes)
                wait_until_sent()
                assert collector.receiver.wait() == 0
            tree = SourceTree(["rq_dashboard"])
            catalog.push(store, catalog.build(tree), "v0.9.0")
            write_report(
                select_revision(store),
                Sources.of_tree(tree, PACKAGE.parent),
                folder / "out",
                contents=Contents(html=False),
            )
            return dashboard.second_opinion(redis_url)

    folder, alone = once(tmp_path_factory, "dashboard", make)
    return Dashboard(folder / "out", alone)


def test_each_route_has_its_function_its_profiles_and_as_many_requests_as_were_made(reported: Dashboard) -> None:
    document = reported.document("entry-points.json")
    profiles = [each["profile"] for each in document["profiles"]]
    assert {
        each["entry_point"]: (name_of(each["symbol"]), sorted(each["profiles"]), each["requests"])
        for each in document["entry_points"]
    } == {
        name: (f"rq_dashboard.web:{view}", asked_by, requests)
        for name, (view, asked_by, requests, _) in EXPECTED.items()
    }
    assert sorted(profiles) == SLUGS
    assert sum(requests for _, _, requests, _ in EXPECTED.values()) == len(SLUGS) * dashboard.REQUESTS


def test_under_each_route_stand_the_functions_that_its_requests_execute(reported: Dashboard) -> None:
    document = reported.document("entry-points.json")
    under: dict[str, set[str]] = {each["entry_point"]: set() for each in document["entry_points"]}
    for symbol, reached in zip(document["symbols"], document["symbol_entry_points"], strict=True):
        for position, _ in reached:
            under[document["entry_points"][position]["entry_point"]].add(name_of(symbol))
    assert under == {
        name: {f"rq_dashboard.web:{function}" for function in functions}
        for name, (_, _, _, functions) in EXPECTED.items()
    }
    counted = {each["entry_point"]: each["functions"] for each in document["entry_points"]}
    assert counted == {name: len(functions) for name, (_, _, _, functions) in EXPECTED.items()}


def test_routes_that_no_profile_asks_for_are_gaps(reported: Dashboard) -> None:
    gaps = reported.document("entry-points.json")["gaps"]
    assert {each["entry_point"]: name_of(each["symbol"]).removeprefix("rq_dashboard.web:") for each in gaps} == (
        NOT_REACHED
    )


def test_each_profile_executes_what_its_routes_do(reported: Dashboard) -> None:
    document = reported.document("matrix.json")
    found = {
        each["profile"]: {name_of(document["symbols"][position]) for position in accumulate(steps)}
        for each, steps in zip(document["profiles"], document["matrix"], strict=True)
    }
    assert found == {
        slug: {
            f"rq_dashboard.web:{function}"
            for _, asked_by, _, functions in EXPECTED.values()
            if slug in asked_by
            for function in functions
        }
        for slug in SLUGS
    }


def test_functions_that_no_request_executes_are_gaps_and_the_totals_add_up(reported: Dashboard) -> None:
    gaps = reported.document("gaps.json")["gaps"]
    found: dict[str, list[str]] = {}
    for each in gaps:
        if each["kind"] == "function":
            module, _, qualname = name_of(each["symbol"]).partition(":")
            found.setdefault(module, []).append(qualname)
    assert {module: sorted(names) for module, names in found.items()} == GAPS
    executed = set[str]().union(*(functions for _, _, _, functions in EXPECTED.values()))
    kinds = Counter(each["kind"] for each in reported.document("symbols.json")["symbols"])
    assert kinds["function"] == len(executed) + sum(map(len, GAPS.values()))


@pytest.mark.parametrize("slug", SLUGS)
def test_the_functions_and_lines_of_a_profiles_report_are_those_of_coverage_alone(
    reported: Dashboard, slug: str
) -> None:
    document = reported.document(f"{slug}/report.json")
    alone = reported.alone[slug]
    covered = [each for each in document["symbols"] if each["covered"] and each["kind"] == "function"]
    assert sorted(each["id"] for each in covered) == alone["functions"]
    assert document["complete"]
    assert document["certain"]
    ours: dict[str, set[int]] = {}
    for each in covered:
        ours.setdefault(each["file"], set()).update(each["executed_lines"])
    assert ours == {file: statements_of(file) & set(lines) for file, lines in alone["lines"].items()}


@pytest.mark.parametrize("slug", SLUGS)
def test_coverage_reads_the_same_lines_from_a_profiles_data_file(
    reported: Dashboard, tmp_path: Path, slug: str
) -> None:
    command = [sys.executable, "-m", "coverage", "json", "--rcfile", str(reported.out / "coveragerc"), "--data-file"]
    command += [str(reported.out / f"{slug}.coverage"), "-o", str(tmp_path / "found.json")]
    done = subprocess.run(
        command, cwd=PACKAGE.parent, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = json.loads((tmp_path / "found.json").read_text())["files"]
    found = {file: set(each["executed_lines"]) for file, each in files.items() if each["executed_lines"]}
    assert found == {file: statements_of(file) & set(lines) for file, lines in reported.alone[slug]["lines"].items()}


def name_of(symbol: str) -> str:
    """A symbol without its line."""
    return symbol.rpartition("@")[0]


def statements_of(file: str) -> set[int]:
    """The statements inside functions, as coverage.py counts them."""
    path = PACKAGE.parent / file
    _, statements, _, _, _ = coverage.Coverage(data_file=None, config_file=False).analysis2(str(path))
    bodies = (
        range(node.body[0].lineno, (node.end_lineno or 0) + 1)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return {*statements}.intersection(*[{line for body in bodies for line in body}])
