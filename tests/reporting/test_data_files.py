"""The data files are coverage.py's own: its command line works on them, and finds what the store holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import coverage
import pytest

from otel_coverage.reporting.profiles.names import folder_name
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import Report, write_report
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.reporting.conftest import Reported
from tests.reporting.project import PLACE, SPANS, fill
from tests.support.spans import TracedSpan, insert_spans


def coverage_command(folder: Path, out: Path, *arguments: str) -> str:
    """Run coverage.py in a checkout, as the report in ``out`` says."""
    name, *options = arguments
    command = [sys.executable, "-m", "coverage", name, f"--rcfile={out / 'coveragerc'}", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_coverage_report_works_on_them_in_any_checkout_and_also_shows_what_nobody_executed(
    report: Report, tree: SourceTree
) -> None:
    checkout = Path(tree.roots[0].folder)  # not the one that was reported on
    lines = coverage_command(
        checkout, report.out, "report", f"--data-file={report.out / 'browse.coverage'}"
    ).splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if ".py" in line}
    assert rows == {
        "shop/__init__.py": ["0", "0", "100%"],
        "shop/jobs.py": ["7", "7", "0%"],
        "shop/orders.py": ["17", "13", "24%"],
    }


@pytest.mark.parametrize("profile", ["browse", "checkout"])
def test_coverage_finds_the_lines_that_the_store_holds(reported: Reported, tmp_path: Path, profile: str) -> None:
    store, tree = reported.store, reported.tree
    data_file = str(reported.report.out / f"{profile}.coverage")
    checkout, out = Path(tree.roots[0].folder), str(tmp_path / "found.json")
    coverage_command(checkout, reported.report.out, "json", f"--data-file={data_file}", "-o", out, "--show-contexts")
    found = json.loads((tmp_path / "found.json").read_text())["files"]
    stored = dict(store.query("SELECT file, lines FROM coverage_lines WHERE profile = {p:String}", {"p": profile}).rows)
    files = {file.path: file.filename for file in tree.files()}
    statements = {path: set(coverage.Coverage(data_file=None).analysis2(name)[1]) for path, name in files.items()}
    data = coverage.CoverageData(data_file)
    data.read()
    assert data.measured_files() == set(files)
    for path in files:
        executed = stored.get(path, [])
        assert sorted(data.lines(path) or []) == executed
        entry = found[path]
        assert set(entry["executed_lines"]) == set(executed) & statements[path]
        assert entry["contexts"] == {str(line): [profile] for line in executed}


IMPORTED = SPANS[2].but(lines=["shop/orders.py:1,4,7-8,10-11,19,23-24,27-30", "shop/jobs.py:1,5,10-11"])


def test_lines_that_only_an_import_runs_are_in_none(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    fill(store, tree, [IMPORTED])
    report = write_report(select_revision(store), tree, tmp_path / "out")
    data = coverage.CoverageData(str(report.out / "browse.coverage"))
    data.read()
    lines = {Path(file).name: sorted(data.lines(file) or []) for file in data.measured_files()}
    # 11 of jobs.py is `def run(self): return 1`: the statement that an import runs and the body are one line
    assert lines == {"__init__.py": [], "jobs.py": [11], "orders.py": [8, 28, 29, 30]}


def test_without_a_catalog_nobody_knows_which_those_are(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    insert_spans(store, IMPORTED)
    report = write_report(select_revision(store), tree, tmp_path / "out")
    data = coverage.CoverageData(str(report.out / "browse.coverage"))
    data.read()
    assert sum(len(data.lines(file) or []) for file in data.measured_files()) == 17


def test_coverage_report_covers_as_many_lines_as_the_leaderboard(
    store: Store, tree: SourceTree, tmp_path: Path
) -> None:
    fill(store, tree, [*SPANS[:2], IMPORTED])
    report = write_report(select_revision(store), tree, tmp_path / "out")
    for row in report.queries.leaderboard:
        data_file = f"--data-file={report.out / row['profile']}.coverage"
        checkout, found = Path(tree.roots[0].folder), str(tmp_path / "found.json")
        coverage_command(checkout, report.out, "json", data_file, "-o", found)
        totals = json.loads((tmp_path / "found.json").read_text())["totals"]
        assert totals["covered_lines"] == row["lines_covered"] > 0
        assert totals["num_statements"] > row["lines_total"]


def test_they_can_be_combined_and_the_contexts_say_which_profile_executed_a_line(
    report: Report, tmp_path: Path
) -> None:
    files = [str(report.out / f"{name}.coverage") for name in ("browse", "checkout")]
    coverage_command(tmp_path, report.out, "combine", "--keep", "--data-file=both", *files)
    data = coverage.CoverageData(str(tmp_path / "both"))
    data.read()
    assert data.measured_contexts() == {"browse", "checkout"}
    [orders] = [file for file in data.measured_files() if file.endswith("orders.py")]
    assert data.contexts_by_lineno(orders)[12] == ["checkout"]
    assert sorted(data.contexts_by_lineno(orders)[8]) == ["browse", "checkout"]


def test_a_profile_that_reached_none_of_the_source_has_one_too(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    insert_spans(store, TracedSpan(profile="idle", functions=[]))
    report = write_report(select_revision(store), tree, tmp_path / "out")
    data_file = f"--data-file={report.out / 'idle.coverage'}"
    printed = coverage_command(Path(tree.roots[0].folder), report.out, "report", data_file)
    assert printed.splitlines()[-1].split() == ["TOTAL", "24", "24", "0%"]


def test_a_profile_recorded_by_function_alone_has_none_and_the_report_says_so(
    store: Store, tree: SourceTree, tmp_path: Path
) -> None:
    insert_spans(store, TracedSpan(functions=PLACE))
    report = write_report(select_revision(store), tree, tmp_path / "out")
    assert "checkout.coverage" not in report.files
    assert "Recorded by function alone, so without a data file: 'checkout'." in report.notes


@pytest.mark.parametrize("name", ["../../evil", ""])
def test_whatever_a_profile_is_called_its_files_stay_in_the_folder(
    store: Store, tree: SourceTree, tmp_path: Path, name: str
) -> None:
    insert_spans(store, SPANS[0].but(profile=name), SPANS[2])
    report = write_report(select_revision(store), tree, tmp_path / "deep" / "down" / "out")
    data_files = {file for file in report.files if file.endswith(".coverage")}
    assert data_files == {"all.coverage", "browse.coverage", f"{folder_name(name)}.coverage"}
    assert {path.name for path in tmp_path.rglob("*.coverage")} == data_files
    assert json.loads((report.out / folder_name(name) / "report.json").read_text())["profile"] == name
    data = coverage.CoverageData(str(report.out / f"{folder_name(name)}.coverage"))
    data.read()
    assert data.measured_contexts() == {folder_name(name)}


def test_files_that_the_source_tree_does_not_have_are_named(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    insert_spans(store, SPANS[2].but(lines=["shop/orders.py:8", "shop/gone.py:1", "../../etc/passwd:1"]))
    report = write_report(select_revision(store), tree, tmp_path / "out")
    assert report.notes[-1] == (
        "Not in the source tree, or with a name that is not UTF-8, so in no data file: "
        "'../../etc/passwd', 'shop/gone.py'."
    )
    data = coverage.CoverageData(str(report.out / "browse.coverage"))
    data.read()
    assert sorted(Path(file).name for file in data.measured_files()) == ["__init__.py", "jobs.py", "orders.py"]
