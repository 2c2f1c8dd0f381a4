"""The data files are coverage.py's own: its command line works on them, and finds what the store holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import coverage
import pytest

from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import Report, write_report
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.reporting.conftest import Reported
from tests.reporting.project import PLACE, SPANS
from tests.support.spans import TracedSpan, insert_spans


def coverage_command(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "coverage", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_coverage_report_works_on_them_and_also_shows_what_nobody_executed(report: Report, tmp_path: Path) -> None:
    lines = coverage_command(tmp_path, "report", f"--data-file={report.out / 'browse.coverage'}").splitlines()
    rows = {Path(line.split()[0]).name: line.split()[1:] for line in lines if ".py" in line}
    assert rows == {"__init__.py": ["0", "0", "100%"], "jobs.py": ["7", "7", "0%"], "orders.py": ["17", "13", "24%"]}


@pytest.mark.parametrize("profile", ["browse", "checkout"])
def test_coverage_finds_the_lines_that_the_store_holds(reported: Reported, tmp_path: Path, profile: str) -> None:
    store, tree = reported.store, reported.tree
    data_file = str(reported.report.out / f"{profile}.coverage")
    coverage_command(tmp_path, "json", f"--data-file={data_file}", "-o", "found.json", "--show-contexts")
    found = json.loads((tmp_path / "found.json").read_text())["files"]
    stored = dict(store.query("SELECT file, lines FROM coverage_lines WHERE profile = {p:String}", {"p": profile}).rows)
    files = {file.path: file.filename for file in tree.files()}
    statements = {path: set(coverage.Coverage(data_file=None).analysis2(name)[1]) for path, name in files.items()}
    data = coverage.CoverageData(data_file)
    data.read()
    assert data.measured_files() == set(files.values())
    for path, filename in files.items():
        executed = stored.get(path, [])
        assert sorted(data.lines(filename) or []) == executed
        entry = found[filename]
        assert set(entry["executed_lines"]) == set(executed) & statements[path]
        assert entry["contexts"] == {str(line): [profile] for line in executed}


def test_they_can_be_combined_and_the_contexts_say_which_profile_executed_a_line(
    report: Report, tmp_path: Path
) -> None:
    files = [str(report.out / f"{name}.coverage") for name in ("browse", "checkout")]
    coverage_command(tmp_path, "combine", "--keep", "--data-file=both", *files)
    data = coverage.CoverageData(str(tmp_path / "both"))
    data.read()
    assert data.measured_contexts() == {"browse", "checkout"}
    [orders] = [file for file in data.measured_files() if file.endswith("orders.py")]
    assert data.contexts_by_lineno(orders)[12] == ["checkout"]
    assert sorted(data.contexts_by_lineno(orders)[8]) == ["browse", "checkout"]


def test_a_profile_that_reached_none_of_the_source_has_one_too(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    insert_spans(store, TracedSpan(profile="idle", functions=[]))
    report = write_report(select_revision(store), tree, tmp_path / "out")
    printed = coverage_command(tmp_path, "report", f"--data-file={report.out / 'idle.coverage'}")
    assert printed.splitlines()[-1].split() == ["TOTAL", "24", "24", "0%"]


def test_a_profile_recorded_by_function_alone_has_none_and_the_report_says_so(
    store: Store, tree: SourceTree, tmp_path: Path
) -> None:
    insert_spans(store, TracedSpan(functions=PLACE))
    report = write_report(select_revision(store), tree, tmp_path / "out")
    assert "checkout.coverage" not in report.files
    assert "Recorded by function alone, so without a data file: 'checkout'." in report.notes


@pytest.mark.parametrize("name", ["../../evil", "a/b", "", ".hidden", "Upper", "<b>", "a\nb", "x" * 129])
def test_an_invalid_profile_name_names_no_file(store: Store, tree: SourceTree, tmp_path: Path, name: str) -> None:
    insert_spans(store, SPANS[0].but(profile=name), SPANS[2])
    report = write_report(select_revision(store), tree, tmp_path / "deep" / "down" / "out")
    assert [file for file in report.files if file.endswith(".coverage")] == ["browse.coverage"]
    everything = sorted(path.name for path in tmp_path.rglob("*.coverage"))
    assert everything == ["browse.coverage"]
    assert any("Not a valid profile name" in note for note in report.notes)
    matrix = json.loads((report.out / "matrix.json").read_text())["matrix"]
    assert name in [entry["profile"] for entry in matrix]


def test_files_that_the_source_tree_does_not_have_are_named(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    insert_spans(store, SPANS[2].but(lines=["shop/orders.py:8", "shop/gone.py:1", "../../etc/passwd:1"]))
    report = write_report(select_revision(store), tree, tmp_path / "out")
    assert report.notes[-1] == "Not in the source tree, so in no data file: '../../etc/passwd', 'shop/gone.py'."
    data = coverage.CoverageData(str(report.out / "browse.coverage"))
    data.read()
    assert sorted(Path(file).name for file in data.measured_files()) == ["__init__.py", "jobs.py", "orders.py"]
