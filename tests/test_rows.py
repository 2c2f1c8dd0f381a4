"""The check that fails a run by the name of each row of the matrix that did not run."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rq.version import VERSION

from tests.support.rows import FILE, rows

ROOT = Path(__file__).parent.parent


@pytest.fixture
def groups() -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = tomllib.loads(FILE.read_text())["group"]
    return found


def expected(groups: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    of_rq = tuple(int(part) for part in VERSION.split("."))
    return list(rows(groups, None, sys.version_info[:2], of_rq))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_every_row_is_a_test_that_there_is(groups: list[Mapping[str, Any]]) -> None:
    files = sorted({group["file"] for group in groups})
    listed = set(run("--collect-only", *files).stdout.splitlines())
    assert [(name, test) for name, test in expected(groups) if test not in listed] == []


def test_a_run_of_the_whole_suite_is_asked_for_every_row(groups: list[Mapping[str, Any]]) -> None:
    said = run("--no-skips", "--deselect", "tests").stdout
    assert {line for line in said.splitlines() if line.startswith("row did not run")} == {
        f"row did not run: {name} ({test})" for name, test in expected(groups)
    }


def test_a_row_that_did_not_run_fails_the_run_by_its_name() -> None:
    one = "tests/instrumentation/test_propagation.py::test_work_on_a_message_is_recorded_for_its_sender"
    done = run("--rows", "a road of one's own", one)
    assert done.returncode == 1
    said = [line for line in done.stdout.splitlines() if line.startswith("row did not run")]
    assert [line.partition(" (")[0] for line in said] == ["row did not run: a road of one's own: signed"]


def test_rows_that_all_ran_fail_nothing() -> None:
    done = run("--rows", "a road of one's own", "tests/instrumentation/test_propagation.py")
    assert done.returncode == 0, done.stdout


def test_a_run_of_some_files_is_asked_for_no_rows() -> None:
    assert run("--no-skips", "tests/tracing/test_log.py").returncode == 0


def test_a_group_is_for_the_versions_that_it_names() -> None:
    groups = [
        {"name": "always", "file": "a.py", "rows": {"one": "test_one"}},
        {"name": "new", "file": "b.py", "since": "3.12", "rows": {"two": "test_two"}},
        {"name": "old", "file": "c.py", "until": "3.11", "rows": {"three": "test_three"}},
        {"name": "queue", "file": "d.py", "rq": "2.5", "rows": {"four": "test_four[x]"}},
    ]
    assert list(rows(groups, None, (3, 13), (2, 5, 0))) == [
        ("always: one", "a.py::test_one"),
        ("new: two", "b.py::test_two"),
        ("queue: four", "d.py::test_four[x]"),
    ]
    assert [name for name, _ in rows(groups, None, (3, 11), (2, 4, 1))] == ["always: one", "old: three"]
    assert [name for name, _ in rows(groups, ["new"], (3, 12), (1,))] == ["new: two"]
