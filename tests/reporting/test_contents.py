"""Which files a report has: those that are asked for, as many as fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.artifacts import ARTIFACTS
from otel_coverage.reporting.contents import Contents, LeftOut, parse_size, units
from otel_coverage.reporting.files import published
from otel_coverage.reporting.matrix import least_csv_size
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import write_report
from tests.reporting.conftest import Reported


@pytest.mark.parametrize(
    ("only", "files"),
    [
        (["summary.md"], ["summary.md"]),
        (["summary.md", "gaps.[cj]*"], ["gaps.csv", "gaps.json", "summary.md"]),
        (["*.coverage"], ["all.coverage", "browse.coverage", "checkout.coverage"]),
        (["report.json"], ["browse/report.json", "checkout/report.json"]),
        (["checkout"], ["checkout/html/", "checkout/report.json"]),
        (["all.lcov", "browse/*.xml"], ["all.lcov", "browse/coverage.xml"]),
    ],
)
def test_only_what_is_asked_for_is_written(
    reported: Reported, tmp_path: Path, only: list[str], files: list[str]
) -> None:
    (tmp_path / "matrix.json").write_text("of an earlier report", encoding="utf-8")
    queries = select_revision(reported.store)
    report = write_report(queries, reported.tree, tmp_path, contents=Contents(html=True, only=tuple(only)))
    assert sorted(report.files) == files
    assert (tmp_path / "matrix.json").read_text(encoding="utf-8") == "of an earlier report"


def test_nothing_is_made_that_is_not_asked_for(reported: Reported, tmp_path: Path) -> None:
    queries = select_revision(reported.store)
    for name, write in ARTIFACTS.items():
        for path in sorted(reported.report.out.glob(f"{name}.*")):
            folder = tmp_path / path.name
            folder.mkdir()
            write(queries, folder, path.name.__eq__)
            assert [each.name for each in folder.iterdir()] == [path.name]
            assert (folder / path.name).read_bytes() == path.read_bytes()


def test_a_matrix_that_cannot_fit_is_not_even_written(reported: Reported, tmp_path: Path) -> None:
    queries = select_revision(reported.store)
    least = least_csv_size(queries.executed)
    assert 0 < least <= (reported.report.out / "matrix.csv").stat().st_size
    for limit, only in ((least - 1, ()), (least - 1, ("matrix.csv",))):
        contents = Contents(only=only, max_size=limit)
        report = write_report(queries, reported.tree, tmp_path / "out", contents=contents)
        assert "matrix.csv" not in report.files
        assert report.left_out["matrix.csv"] is None


def test_what_no_report_has_is_an_error_and_leaves_nothing(reported: Reported, tmp_path: Path) -> None:
    queries = select_revision(reported.store)
    for only in (("summary.md", "sumary.md"), ("sumary.md",)):
        with pytest.raises(
            ConfigurationError, match=r"--only sumary\.md: a report of this has no such file; it has summary\.md"
        ):
            write_report(queries, reported.tree, tmp_path / "out", contents=Contents(only=only))
        assert not (tmp_path / "out").exists()


def test_what_would_be_too_large_is_left_out_the_most_useful_kept_and_listed(
    reported: Reported, tmp_path: Path
) -> None:
    everything = {unit.name: unit.size for unit in units(reported.report.out)}
    pages = [name for name in everything if name == "html" or name.endswith("/html")]
    limit = sum(size for name, size in everything.items() if name not in pages) + everything["html"] + 1000
    contents = Contents(html=True, formats=("lcov", "xml", "markdown"), max_size=limit)
    report = write_report(select_revision(reported.store), reported.tree, tmp_path / "out", contents=contents)
    assert set(report.left_out) == {"browse/html", "checkout/html"}
    assert set(report.files) == {
        name if name not in pages else f"{name}/" for name in everything.keys() - report.left_out
    }
    assert sum(unit.size for unit in units(report.out)) <= limit
    (note,) = report.notes
    assert note.endswith(": html of browse, checkout.")
    assert note in (report.out / "summary.md").read_text(encoding="utf-8")


def test_the_least_useful_goes_first_and_what_says_so_stays(tmp_path: Path) -> None:
    sizes = {
        "summary.md": 100,
        "index.html": 100,
        "gaps.json": 50,
        "gaps.csv": 50,
        "b.coverage": 30,
        "a.coverage": 30,
        "a/report.json": 20,
        "b/report.json": 20,
    }
    left = {}
    for limit in (400, 380, 330, 300, 250, 210, 0):
        folder = tmp_path / str(limit)
        for name, size in sizes.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"x" * size)
        dropped = LeftOut(limit)
        dropped.drop(folder, {"b": 0, "a": 1})
        left[limit] = sorted(dropped.sizes)
        assert sorted(unit.name for unit in units(folder)) == sorted(sizes.keys() - dropped.sizes)
    assert left == {
        400: [],
        380: ["a/report.json"],
        330: ["a/report.json", "gaps.csv"],
        300: ["a.coverage", "a/report.json", "gaps.csv"],
        250: ["a.coverage", "a/report.json", "b.coverage", "b/report.json", "gaps.csv"],
        210: ["a.coverage", "a/report.json", "b.coverage", "b/report.json", "gaps.csv", "gaps.json"],
        0: ["a.coverage", "a/report.json", "b.coverage", "b/report.json", "gaps.csv", "gaps.json"],
    }


def test_sizes_are_written_as_people_write_them() -> None:
    texts = ("0", "250M", "1.5 GB", "64MiB", "10k", "3b")
    assert [*map(parse_size, texts)] == [0, 250_000_000, 1_500_000_000, 64 * 1024**2, 10_000, 3]
    for text in ("", "M", "-1M", "1T", "many"):
        with pytest.raises(ConfigurationError, match="not a size; write 250M"):
            parse_size(text)


class TestFolders:
    def test_of_somebody_else_are_not_replaced(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        (out / "html").mkdir(parents=True)
        (out / "html" / "index.html").write_text("mine", encoding="utf-8")
        refused = pytest.raises(ConfigurationError, match=r"out/html: there is something that no report wrote")
        with refused, published(out) as folder:
            (folder / "matrix.json").write_text("{}", encoding="utf-8")
            (folder / "html").mkdir()
        assert [path.relative_to(out).as_posix() for path in out.rglob("*")] == ["html", "html/index.html"]

    def test_of_coverages_pages_lose_those_of_the_report_before(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        for name in ("old", "new"):
            with published(out) as folder:
                (folder / "a" / "html").mkdir(parents=True)
                for file in ("status.json", "index.html", f"{name}.html"):
                    (folder / "a" / "html" / file).write_text("", encoding="utf-8")
        assert sorted(path.name for path in (out / "a" / "html").iterdir()) == ["index.html", "new.html", "status.json"]

    def test_of_profiles_that_are_gone_lose_what_is_the_reports_and_keep_the_rest(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        for profiles in (["a", "b"], []):
            with published(out) as folder:
                named = {"profiles": [{"profile": name} for name in profiles]}
                (folder / "leaderboard.json").write_text(json.dumps(named), encoding="utf-8")
                for name in profiles:
                    (folder / name).mkdir()
                    (folder / name / "report.json").write_text("{}", encoding="utf-8")
            if profiles:
                (out / "b" / "notes.txt").write_text("mine", encoding="utf-8")
        found = sorted(path.relative_to(out).as_posix() for path in out.rglob("*"))
        assert found == ["b", "b/notes.txt", "leaderboard.json"]
