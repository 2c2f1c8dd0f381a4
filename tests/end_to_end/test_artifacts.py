"""The artifacts that the demo leaves behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import coverage
import pytest

from otel_coverage.demo.example import Example
from tests.end_to_end import expected
from tests.end_to_end.played import Played, environment

SLUGS = Example.find().slugs


@pytest.mark.parametrize("slug", SLUGS)
def test_a_profiles_coverage_file_holds_the_lines_of_the_store(played: Played, slug: str) -> None:
    data = coverage.CoverageData(str(played.out / f"{slug}.coverage"))
    data.read()
    root = Example.find().folder
    assert data.measured_contexts() == {slug}
    found = {Path(file).relative_to(root).as_posix(): sorted(data.lines(file) or []) for file in data.measured_files()}
    assert {file: lines for file, lines in found.items() if lines} == played.lines_of(slug)


def test_coverage_itself_reports_on_a_profile(played: Played) -> None:
    command = [sys.executable, "-m", "coverage", "report", "--data-file", str(played.out / "checkout.coverage")]
    done = subprocess.run(
        command, cwd=played.out, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"shop/orders\.py\s+\d+\s+\d+\s+\d+%", done.stdout)


def test_the_matrix_is_left_as_json_and_csv(played: Played) -> None:
    assert json.loads((played.out / "matrix.json").read_text())["schema_version"]
    assert (played.out / "matrix.csv").read_text().count("\n") > len(expected.table())


@pytest.mark.parametrize(
    "name",
    [
        *(
            f"{stem}.{ending}"
            for stem in ("matrix", "reverse-index", "gaps", "leaderboard")
            for ending in ("json", "csv")
        ),
        "redundancy.json",
        "symbols.json",
        "summary.md",
    ],
)
def test_every_artifact_is_there_and_holds_something(played: Played, name: str) -> None:
    assert (played.out / name).stat().st_size > 0


def test_the_demo_says_what_each_profile_covers_and_where_the_files_are(played: Played) -> None:
    for slug in SLUGS:
        functions = sum(slug in profiles for profiles in expected.table().values())
        assert re.search(rf"{re.escape(slug)}\s.*\b{functions}\b", played.printed), slug
    assert "shop.loyalty" in played.printed
    assert str(played.out) in played.printed
