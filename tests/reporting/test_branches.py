"""Where branches were recorded, data files say what coverage.py's branch mode says of the same request."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import coverage
import pytest

from otel_coverage.recording import CurrentRecording, open_engine
from otel_coverage.reporting.profiles.sources import Sources
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import Report, write_report
from otel_coverage.settings import EngineChoice
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from otel_coverage.tracing.arc_chains import ARCS
from otel_coverage.tracing.attributes import FUNCTIONS, LINES, chunks
from tests.recording.recorder import imported
from tests.reporting.test_data_files import coverage_command
from tests.support.spans import TracedSpan, insert_spans

ENGINES = ["coverage", pytest.param("monitoring", marks=pytest.mark.since(3, 14))]

PROGRAM = """
def total(rows, rate=None):
    found = 0
    for row in rows:
        if row < 0:
            continue
        found += row
        if found > 9: break
    else:
        found += 1
    while rate:
        found *= 2
        rate -= 1
    return found if rows else None

def kind(row):
    match row:
        case 0:
            return "none"
        case int():
            if row > 5:
                return "many"
    try:
        row.attribute
    except AttributeError as error:
        if error:
            return "odd"
    finally:
        row = None

def outer(rows):
    def inner(): return rows
    if rows:
        rows = inner()

def lazy(rows):
    for row in rows:
        if row:
            yield row

class Box:
    def __init__(self, rows): self.rows = rows

def ask(rows, rate):
    box = Box(rows)
    outer(rows)
    return total(rows, rate), [kind(row) for row in rows], list(lazy(box.rows))
"""

ALONE = """
import contextlib
import sys
import coverage
sys.path.insert(0, sys.argv[1])
import ways
measured = coverage.Coverage(
    data_file=sys.argv[2], config_file=False, branch=True, include=["program/*"], context="alone"
)
measured.set_option("run:core", sys.argv[3])
measured.set_option("run:relative_files", True)
measured.start()
with contextlib.suppress(TypeError):
    ways.ask(*eval(sys.argv[4]))
measured.stop()
measured.save()
"""

REQUESTS: tuple[tuple[Sequence[object], int], ...] = (
    ([], 0),
    ([1, 2], 1),
    ([0, 5, 6], 0),
    (["a"], 0),
    ([-1, 20, 3], 2),
)


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "ways.py").write_text(PROGRAM)
    return SourceTree([str(tmp_path / "program")])


def recorded(tree: SourceTree, engine: EngineChoice, request: tuple[Sequence[object], int], **span: Any) -> TracedSpan:
    """The request's span; what it raises is not looked at."""
    folder = Path(tree.roots[0].folder)
    variable: ContextVar[Any] = ContextVar("recording", default=None)
    opened = open_engine(engine, "line", tree, CurrentRecording(variable), branch=True)
    with imported(folder, "ways") as module:
        recording = opened.begin()
        token = variable.set(recording)
        with suppress(TypeError):
            module.ask(*request)
        variable.reset(token)
        opened.end(recording)
        opened.close()
    assert recording.branch
    (chunk,) = chunks(recording.executed(), [FUNCTIONS, LINES, ARCS], 100_000)
    functions, lines, arcs = (chunk.arrays[array.name] for array in (FUNCTIONS, LINES, ARCS))
    return TracedSpan(functions=functions, lines=lines, arcs=arcs, arc_count=chunk.counts[ARCS.count_name], **span)


def alone(folder: Path, engine: str, request: tuple[Sequence[object], int]) -> Path:
    """coverage.py's own data file of the request."""
    data_file = folder / "alone.coverage"
    core = "sysmon" if engine == "monitoring" else "ctrace"
    command = [sys.executable, "-c", ALONE, str(folder / "program"), str(data_file), core, repr(request)]
    subprocess.run(command, cwd=folder, check=True)
    return data_file


def report_of(folder: Path, data_file: Path) -> str:
    return coverage_command(
        folder, folder / "out", "report", f"--data-file={data_file}", "--show-missing", "--precision=2"
    )


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_data_file_reports_what_coverage_finds_of_the_same_request(
    store: Store, tree: SourceTree, tmp_path: Path, engine: EngineChoice, request_: tuple[Sequence[object], int]
) -> None:
    span = recorded(tree, engine, request_)
    insert_spans(store, span)
    report = write_report(select_revision(store), Sources.of_tree(tree, tmp_path), tmp_path / "out")
    assert report_of(tmp_path, report.out / "checkout.coverage") == report_of(
        tmp_path, alone(tmp_path, engine, request_)
    )
    assert select_revision(store).complete


@pytest.mark.parametrize("engine", ENGINES)
def test_a_data_file_is_combined_with_one_of_coverage_run_in_branch_mode(
    store: Store, tree: SourceTree, tmp_path: Path, engine: EngineChoice
) -> None:
    insert_spans(store, recorded(tree, engine, REQUESTS[4]))
    out = tmp_path / "out"
    ours = write_report(select_revision(store), Sources.of_tree(tree, tmp_path), out).out / "checkout.coverage"
    (tmp_path / "program" / "main.py").write_text("import ways\nways.ask([0, 5, 6], 0)\n")
    run = ("run", "--branch", "--data-file=run.coverage", f"--include={tmp_path}/program/ways.py", "program/main.py")
    coverage_command(tmp_path, out, *run)
    files = {"theirs": alone(tmp_path, engine, REQUESTS[4]), "both": ours}
    for combined, first in files.items():
        coverage_command(tmp_path, out, "combine", "--keep", f"--data-file={combined}", str(first), "run.coverage")
    assert report_of(tmp_path, tmp_path / "both") == report_of(tmp_path, tmp_path / "theirs")
    data = coverage.CoverageData(str(tmp_path / "both"))
    data.read()
    assert data.measured_contexts() == {"checkout", ""}


def has_arcs(report: Report, profile: str) -> bool:
    data = coverage.CoverageData(str(report.out / f"{profile}.coverage"))
    data.read()
    return data.has_arcs()


def test_a_profile_of_which_a_part_was_recorded_without_branches_has_lines_alone_and_the_report_says_so(
    store: Store, tree: SourceTree, tmp_path: Path
) -> None:
    web = recorded(tree, "coverage", REQUESTS[0])
    worker = TracedSpan(
        id="s2", role="consumer", service="worker", functions=["ways:kind@15"], lines=["ways.py:16-18"], trace="t2"
    )
    insert_spans(store, web, web.but(profile="browse"), worker)
    report = write_report(select_revision(store), tree, tmp_path / "out")
    assert not has_arcs(report, "checkout")
    assert has_arcs(report, "browse")
    assert "Recorded in part without branches, so with lines alone: 'checkout'." in report.notes
    assert "TOTAL" in coverage_command(
        tmp_path / "program", report.out, "report", f"--data-file={report.out / 'checkout.coverage'}"
    )
    of_web = write_report(select_revision(store, services=["web"]), tree, tmp_path / "web")
    assert has_arcs(of_web, "checkout")
    assert of_web.notes == report.notes[:-1]


def test_a_profile_recorded_with_branches_that_reached_none_of_the_source_can_be_combined_with_the_others(
    store: Store, tree: SourceTree, tmp_path: Path
) -> None:
    insert_spans(store, recorded(tree, "coverage", REQUESTS[0]), TracedSpan(profile="idle", functions=[], arcs=[]))
    report = write_report(select_revision(store), tree, tmp_path / "out")
    assert has_arcs(report, "idle")
    files = [str(report.out / f"{name}.coverage") for name in ("checkout", "idle")]
    coverage_command(tmp_path, report.out, "combine", "--keep", "--data-file=both", *files)


def test_a_line_that_no_arc_names_is_in_the_data_file_too(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    insert_spans(store, TracedSpan(functions=["ways:total@2"], lines=["ways.py:3-5,13"], arcs=["ways.py:4/5"]))
    report = write_report(select_revision(store), tree, tmp_path / "out")
    data = coverage.CoverageData(str(report.out / "checkout.coverage"))
    data.read()
    [filename] = data.measured_files()
    assert sorted(data.lines(filename) or []) == [3, 4, 5, 13]
    assert sorted(data.arcs(filename) or []) == [(3, 3), (4, 5), (13, 13)]
