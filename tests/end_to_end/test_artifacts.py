"""The artifacts of the demo."""

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
def test_a_profiles_coverage_file_has_the_lines_of_the_store(played: Played, slug: str) -> None:
    data = coverage.CoverageData(str(played.out / f"{slug}.coverage"))
    data.read()
    root = Example.find().folder
    assert data.measured_contexts() == {slug}
    found = {Path(file).relative_to(root).as_posix(): sorted(data.lines(file) or []) for file in data.measured_files()}
    assert {file: lines for file, lines in found.items() if lines} == played.lines_of(slug)


def test_coverage_report_works_on_a_profiles_file(played: Played) -> None:
    command = [sys.executable, "-m", "coverage", "report", "--data-file", str(played.out / "checkout.coverage")]
    done = subprocess.run(
        command, cwd=played.out, env=environment(), capture_output=True, text=True, timeout=60, check=False
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
            for stem in ("matrix", "reverse-index", "gaps", "leaderboard")
            for ending in ("json", "csv")
        ),
        "redundancy.json",
        "symbols.json",
        "summary.md",
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
