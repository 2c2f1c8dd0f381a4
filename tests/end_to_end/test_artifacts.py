"""The artifacts of the demo."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import coverage
import pytest

from otel_coverage.demo.example import Example
from tests.end_to_end import expected
from tests.end_to_end.played import Played, environment

SLUGS = Example.find().slugs


@pytest.mark.parametrize("slug", SLUGS)
def test_a_profiles_coverage_file_has_the_lines_of_the_store_that_no_import_runs(played: Played, slug: str) -> None:
    data = coverage.CoverageData(str(played.out / f"{slug}.coverage"))
    data.read()
    root = Example.find().folder
    assert data.measured_contexts() == {slug}
    found = {file: sorted(data.lines(file) or []) for file in data.measured_files()}
    at_import = {file: _outside_of_functions(root / file) for file in played.lines_of(slug)}
    stored = {file: sorted({*lines} - at_import[file]) for file, lines in played.lines_of(slug).items()}
    assert {file: lines for file, lines in found.items() if lines} == {
        file: lines for file, lines in stored.items() if lines
    }


def _outside_of_functions(path: Path) -> set[int]:
    """The lines of a module that are in no function's body."""
    source = path.read_text()
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    bodies = [range(node.body[0].lineno, (node.end_lineno or 0) + 1) for node in functions]
    return set(range(1, source.count("\n") + 2)).difference(*bodies)


def coverage_json(played: Played, slug: str, folder: Path) -> dict[str, Any]:
    """What ``coverage json`` finds in a profile's data file, in the example's folder."""
    command = [sys.executable, "-m", "coverage", "json", "--rcfile", str(played.out / "coveragerc")]
    command += ["--data-file", str(played.out / f"{slug}.coverage"), "-o", str(folder / "found.json")]
    subprocess.run(command, cwd=Example.find().folder, env=environment(), check=True)
    return dict(json.loads((folder / "found.json").read_text()))


@pytest.mark.parametrize("slug", SLUGS)
def test_the_lines_of_a_profiles_report_are_those_that_coverage_finds_when_it_runs_alone(
    played: Played, coverage_reference: dict[str, Any], tmp_path: Path, slug: str
) -> None:
    """Of the same requests and jobs, in processes without the recorder; and those that coverage.py reports of ours."""
    alone: dict[str, set[int]] = {}
    for profiles in coverage_reference["lines"].values():
        for file, lines in profiles.get(slug, {}).items():
            alone.setdefault(file, set()).update(lines)
    document = json.loads((played.out / slug / "report.json").read_text())
    assert document["summary"]["lines_covered"] == sum(
        len(symbol["executed_lines"]) for symbol in document["symbols"] if symbol["kind"] == "function"
    )
    shown = coverage_json(played, slug, tmp_path)["files"]
    for file in {symbol["file"] for symbol in document["symbols"]}:
        functions = [each for each in document["symbols"] if each["file"] == file and each["kind"] == "function"]
        ours = {line for symbol in functions for line in symbol["executed_lines"]}
        at_import = _outside_of_functions(Example.find().folder / file)
        statements = {*shown[file]["executed_lines"], *shown[file]["missing_lines"]}
        assert ours == set(shown[file]["executed_lines"]) == (alone.get(file, set()) & statements) - at_import, file


@pytest.mark.parametrize("slug", SLUGS)
def test_coverage_report_covers_as_many_lines_as_the_leaderboard(played: Played, tmp_path: Path, slug: str) -> None:
    totals = coverage_json(played, slug, tmp_path)["totals"]
    ranked = json.loads((played.out / "leaderboard.json").read_text())["leaderboard"]
    (row,) = [row for row in ranked if row["profile"] == slug]
    assert totals["covered_lines"] == row["lines_covered"]
    assert totals["percent_covered"] < row["lines_percent"]


def test_coverage_report_works_on_a_profiles_file(played: Played) -> None:
    command = [sys.executable, "-m", "coverage", "report", "--rcfile", str(played.out / "coveragerc")]
    command += ["--data-file", str(played.out / "checkout.coverage")]
    done = subprocess.run(
        command, cwd=Example.find().folder, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"shop/orders\.py\s+\d+\s+\d+\s+\d+%", done.stdout)


def test_the_matrix_is_written_as_json_and_csv(played: Played) -> None:
    assert json.loads((played.out / "matrix.json").read_text())["schema_version"]
    assert (played.out / "matrix.csv").read_text().count("\n") > len(expected.table())


@pytest.mark.parametrize(
    "name",
    [
        *(
            f"{stem}.{ending}"
            for stem in ("matrix", "reverse-index", "gaps", "leaderboard", "entry-points", "history")
            for ending in ("json", "csv")
        ),
        "index.html",
        "redundancy.json",
        "symbols.json",
        "summary.md",
        "all.coverage",
        "html/index.html",
        "checkout/html/index.html",
        "checkout/report.json",
    ],
)
def test_every_artifact_exists_and_is_not_empty(played: Played, name: str) -> None:
    assert (played.out / name).stat().st_size > 0


def test_the_demo_prints_the_coverage_of_each_profile_and_the_folder(played: Played) -> None:
    for slug in SLUGS:
        functions = sum(slug in profiles for profiles in expected.table().values())
        assert re.search(rf"{re.escape(slug)}\s.*\b{functions}\b", played.printed), slug
    assert "shop.loyalty" in played.printed
    assert str(played.out) in played.printed
