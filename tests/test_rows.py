"""The check that fails a run by the name of each row of docs/boundaries.md that did not run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.rows import PAGE, documented_rows, problems

ROOT = Path(__file__).parent.parent
PROPAGATION = "tests/instrumentation/test_propagation.py"
GROUP = "inject() and attached()"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def rows_in(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(("row ", "no such group of rows"))]


def test_every_row_of_the_page_has_a_test_and_every_marked_test_is_on_the_page() -> None:
    found = rows_in(run("--no-skips", "--deselect", "tests").stdout)
    documented = [f"row did not run: {': '.join(row)}" for row in documented_rows(PAGE.read_text())]
    assert len(documented) > 100
    assert len(set(documented)) == len(documented)
    assert found == [line for line in documented if line in found]
    limited = (
        "uwsgi",
        "gevent",
        "greenlets",
        "SpawnWorker",
        "Group",
        "cron",
        "thread that outlives its request",
        "stack of",
        ", monitoring",
    )
    for line in set(documented) - set(found):  # those for other versions of CPython or RQ
        assert any(word in line for word in limited), line


def test_a_row_that_did_not_run_fails_the_run_by_its_name() -> None:
    done = run("--rows", GROUP, PROPAGATION, "-k", "test_work_on_a_message_is_recorded_for_its_sender")
    assert done.returncode == 1
    assert rows_in(done.stdout) == [f"row did not run: {GROUP}: token"]


def test_rows_that_ran_in_other_processes_count() -> None:
    done = run("--rows", GROUP, "-n", "2", PROPAGATION)
    assert (done.returncode, rows_in(done.stdout)) == (0, []), done.stdout


def test_a_group_that_is_not_on_the_page_fails_the_run() -> None:
    done = run("--rows", "no such group", "tests/tracing/test_log.py")
    assert done.returncode == 1
    assert rows_in(done.stdout) == ["no such group of rows: no such group"]


def test_a_run_of_some_files_is_asked_for_no_rows() -> None:
    assert run("--no-skips", "tests/tracing/test_log.py").returncode == 0


def test_rows_are_read_from_the_table_of_the_page() -> None:
    page = "\n## What the suite runs\n\n| group | rows |\n|---|---|\n| a | x; y, z |\n| b | x |\n\n## Next\n| c | d |\n"
    assert list(documented_rows(page)) == [("a", "x"), ("a", "y, z"), ("b", "x")]


def test_a_row_may_be_left_out_for_its_versions_alone() -> None:
    documented = [("a", "ran"), ("a", "left out by version"), ("a", "deselected"), ("a", "without a test")]
    tests = {("a", "ran"): True, ("a", "left out by version"): False, ("a", "deselected"): True, ("b", "new"): True}
    assert list(problems(documented, tests, {("a", "ran")})) == [
        "row did not run: a: deselected",
        "row without a test: a: without a test",
        "row is not in docs/boundaries.md: b: new",
    ]
