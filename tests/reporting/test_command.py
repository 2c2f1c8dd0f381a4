"""``otel-coverage report`` as it is called."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from coverage import CoverageData
from rich.console import Console

from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError, StoreError
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import write_report
from otel_coverage.reporting.terminal import show
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.reporting.project import SPANS, fill
from tests.support.matrix import matrix
from tests.support.spans import TracedSpan


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def report(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["report", *arguments])


def test_it_writes_the_files_and_prints_json_to_a_pipe(store: Store, store_dsn: str, tree: SourceTree) -> None:
    fill(store, tree)
    done = report("--store", store_dsn, "--out", "artifacts", "--source", "project")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert (printed["out"], printed["revision"], printed["complete"], printed["notes"]) == (
        "artifacts",
        "abc",
        True,
        [],
    )
    assert [(row["profile"], row["functions"]) for row in printed["profiles"]] == [("checkout", 5), ("browse", 3)]
    top = {name.partition("/")[0] for name in printed["files"]}
    assert top == {path.name for path in Path("artifacts").iterdir()} > {"html", "checkout", "browse", "index.html"}
    assert printed["left_out"] == {}
    assert done.stderr == "newest revision with coverage: abc\n"


def test_it_takes_its_settings_from_the_environment(
    store: Store, store_dsn: str, tree: SourceTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = [span.but(namespace="acme") for span in SPANS]
    fill(store, tree, spans)
    monkeypatch.setenv("OTEL_COVERAGE_STORE", store_dsn)
    monkeypatch.setenv("OTEL_COVERAGE_SOURCE", "project")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=acme")
    done = report("--out", "artifacts", "--revision", "abc", "--service", "worker")
    assert done.exit_code == 0, done.output
    assert matrix() == {"checkout": ["shop.jobs:mail@1"]}
    assert done.stderr == ""


def test_it_says_when_the_source_is_at_another_commit(store: Store, store_dsn: str, tree: SourceTree) -> None:
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "first"]):
        subprocess.run(["git", *identity, *command], cwd="project", check=True)
    fill(store, tree, [span.but(revision="0" * 40) for span in SPANS])
    done = report("--store", store_dsn, "--out", "artifacts", "--source", "project")
    assert "files may differ from those that ran" in done.stderr
    assert done.exit_code == 0


def test_it_includes_files_whose_names_are_not_utf_8_where_their_formats_can(
    store: Store, store_dsn: str, tree: SourceTree
) -> None:
    """A data file of coverage.py cannot."""
    Path("project", os.fsdecode(b"caf\xe9.py")).write_text("def coffee(): return 1\n")
    coffee = TracedSpan(
        id="s4", profile="browse", functions=["caf\\udce9:coffee@1"], lines=["caf\\udce9.py:1"], second=4
    )
    fill(store, tree, [*SPANS, coffee])
    done = report("--store", store_dsn, "--out", "artifacts", "--source", "project")
    assert done.exit_code == 0, done.output
    assert "coffee@1" in Path("artifacts/matrix.json").read_text()
    assert json.loads(done.stdout)["notes"] == [
        "Not in the source tree, or with a name that is not UTF-8, so in no data file: 'caf\\\\udce9.py'."
    ]


def test_an_empty_store_is_an_error_and_leaves_nothing(store_dsn: str, tree: SourceTree) -> None:
    done = report("--store", store_dsn, "--out", "artifacts", "--source", "project")
    assert isinstance(done.exception, StoreError)
    assert "no coverage" in str(done.exception)
    assert not Path("artifacts").exists()


def test_a_source_that_matches_no_file_is_an_error_and_leaves_nothing(
    store: Store, store_dsn: str, tree: SourceTree
) -> None:
    fill(store, tree)
    Path("empty").mkdir()
    done = report("--store", store_dsn, "--out", "artifacts", "--source", "empty")
    assert isinstance(done.exception, ConfigurationError)
    assert "no Python file matches" in str(done.exception)
    assert not Path("artifacts").exists()


def test_a_store_that_another_process_holds_is_an_error_of_one_line(store_dsn: str, tree: SourceTree) -> None:
    command = ["report", "--store", store_dsn, "--out", "artifacts", "--source", "project"]
    done = subprocess.run(
        [sys.executable, "-m", "otel_coverage", *command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"held by process {os.getpid()}" in done.stderr
    assert not Path("artifacts").exists()


def test_a_terminal_gets_a_summary(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    fill(store, tree, [*SPANS, SPANS[2].but(id="s9", profile="lost", complete=False, reason="[red]greenlets\x1b[2J")])
    written = write_report(select_revision(store), tree, tmp_path / "out")
    console = Console(width=100, file=io.StringIO())
    with console.capture() as captured:
        show(written, console)
    lines = [" ".join(line.split()) for line in captured.get().splitlines()]
    assert lines[0] == "Coverage of revision abc"
    assert lines[1] == "incomplete: lost: [red]greenlets\\x1b[2J"
    assert "checkout 5 62.5 % 7 58.33 % 1 1 yes" in lines
    assert "lost 3 37.5 % 4 33.33 % 1 0 no" in lines
    assert "shop.jobs 2 1 3 25.0 %" in lines
    out = tmp_path / "out"
    assert lines[-1] == f"{len(written.files)} files in {out}; start with {out / 'summary.md'}"


def test_the_source_may_lie_in_a_checkout_elsewhere(
    store: Store, store_dsn: str, tree: SourceTree, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill(store, tree)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    only = ("--only", "browse.coverage", "--only", "all.xml")
    done = report("--store", store_dsn, "--out", "out", "--source", "shop", "--source-root", "../project", *only)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["files"] == ["all.xml", "browse.coverage"]
    data = CoverageData("out/browse.coverage")
    data.read()
    assert data.measured_files() == {"shop/__init__.py", "shop/jobs.py", "shop/orders.py"}
    assert 'filename="shop/orders.py"' in Path("out/all.xml").read_text(encoding="utf-8")


def test_a_size_that_is_none_is_an_error_before_anything_is_read(tree: SourceTree) -> None:
    done = report("--store", "chdb:///nowhere", "--out", "artifacts", "--source", "project", "--max-size", "much")
    assert isinstance(done.exception, ConfigurationError)
    assert "--max-size 'much': not a size; write 250M, 1.5G or 64MiB" in str(done.exception)
