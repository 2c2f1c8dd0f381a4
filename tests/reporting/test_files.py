"""The files of a report, as somebody reads them."""

from __future__ import annotations

import csv
import json
import os
import platform
from pathlib import Path
from typing import Any

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.files import published
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import Report, write_report
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.reporting.conftest import Reported
from tests.reporting.project import PLACE, SPANS, fill
from tests.support.matrix import matrix
from tests.support.spans import TracedSpan, insert_spans

EVERY_FILE = sorted(
    [
        *(f"{name}/{file}" for name in ("browse", "checkout") for file in ("coverage.lcov", "coverage.md")),
        *(f"{name}/{file}" for name in ("browse", "checkout") for file in ("coverage.xml", "html/", "report.json")),
        "all.coverage",
        "all.lcov",
        "all.md",
        "all.xml",
        "browse.coverage",
        "checkout.coverage",
        "coveragerc",
        "entry-points.csv",
        "entry-points.json",
        "entry-points.parquet",
        "gaps.csv",
        "gaps.json",
        "gaps.parquet",
        "history.csv",
        "history.json",
        "html/",
        "index.html",
        "leaderboard.csv",
        "leaderboard.json",
        "matrix.csv",
        "matrix.json",
        "matrix.parquet",
        "redundancy.json",
        "reverse-index.csv",
        "reverse-index.json",
        "reverse-index.parquet",
        "summary.md",
        "symbols.json",
    ]
)


def document(report: Report, name: str) -> dict[str, Any]:
    return dict(json.loads((report.out / name).read_text(encoding="utf-8")))


def table(report: Report, name: str) -> list[dict[str, str]]:
    with open(report.out / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_is_there_and_nothing_else(report: Report) -> None:
    found = {path.relative_to(report.out).as_posix() for path in report.out.rglob("*") if path.is_file()}
    pages = {name for name in found if name.startswith("html/") or "/html/" in name}
    assert sorted((found - pages) | {f"{name.partition('html/')[0]}html/" for name in pages}) == EVERY_FILE
    assert sorted(report.files) == EVERY_FILE
    assert [path.name for path in report.out.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", [name for name in EVERY_FILE if name.endswith(".json") and "/" not in name])
def test_every_json_file_says_what_it_is_about_and_how_far_to_trust_it(report: Report, name: str) -> None:
    found = document(report, name)
    complete = {"complete": True, "incomplete_reasons": [], "incomplete_details": [], "runs": 1, "failed_runs": 0}
    complete["counted_runs"] = 1
    assert {key: found[key] for key in list(found)[:9]} == {
        "schema_version": 1,
        "revision": "abc",
        "namespace": "",
        "services": ["web", "worker"],
        "selection": {"runs": None, "since": None, "profiles": None},
        "newest_span": "2026-01-01T00:00:03.000000Z",
        "complete": True,
        "problems": [],
        "profiles": [{"profile": "browse", **complete}, {"profile": "checkout", **complete}],
    }


def test_the_matrix_lists_the_functions_of_each_profile(report: Report) -> None:
    place = ["shop.orders:Order.__init__@7", "shop.orders:place@27", "shop.orders:place.<locals>.check@28"]
    found = {
        "browse": place,
        "checkout": ["shop.jobs:mail@1", place[0], "shop.orders:Order.total@10", *place[1:]],
    }
    assert matrix(report.out) == found
    rows = table(report, "matrix.csv")
    assert [(row["profile"], row["symbol"]) for row in rows] == [
        (profile, symbol) for profile, symbols in found.items() for symbol in symbols
    ]
    assert rows[3] == {
        "profile": "checkout",
        "symbol": "shop.jobs:mail@1",
        "module": "shop.jobs",
        "qualname": "mail",
        "line": "1",
        "first_seen": "2026-01-01T00:00:02.000000Z",
        "last_seen": "2026-01-01T00:00:02.000000Z",
        "exemplar_trace_id": "t1",
    }


def test_the_reverse_index_lists_the_profiles_of_each_function(report: Report) -> None:
    found = document(report, "reverse-index.json")
    assert [row["profile"] for row in found["profiles"]] == ["browse", "checkout"]
    assert dict(zip(found["symbols"], found["reverse_index"], strict=True)) == {
        "shop.jobs:mail@1": [1],
        "shop.orders:Order.__init__@7": [0, 1],
        "shop.orders:Order.total@10": [1],
        "shop.orders:place@27": [0, 1],
        "shop.orders:place.<locals>.check@28": [0, 1],
    }
    row = table(report, "reverse-index.csv")[1]
    assert (row["symbol"], row["profile_count"], row["profiles"]) == (
        "shop.orders:Order.__init__@7", "2", "browse checkout",
    )  # fmt: skip


def test_the_gaps_list_what_nobody_executed_and_count_by_module(report: Report) -> None:
    found = document(report, "gaps.json")
    assert (found["catalog"], found["startup"], found["certain"]) == (True, True, True)
    assert {gap.pop("certain") for gap in found["gaps"]} == {True}
    assert [gap["symbol"] for gap in found["gaps"] if gap.pop("at_startup")] == ["shop.jobs:nightly@5"]
    assert found["gaps"] == [
        {"symbol": f"shop.{name}", "kind": kind, "file": file, "line": line, "end_line": end, "executable_lines": lines}
        for name, kind, file, line, end, lines in (
            ("jobs:nightly@5", "function", "shop/jobs.py", 5, 7, 2),
            ("jobs:Unused@10", "class", "shop/jobs.py", 10, 11, 1),
            ("jobs:Unused.run@11", "function", "shop/jobs.py", 11, 11, 1),
            ("orders:Order.cancel@19", "function", "shop/orders.py", 19, 20, 1),
        )
    ]
    assert found["modules"] == [
        {
            "module": "shop.jobs",
            "functions_covered": 1,
            "functions_total": 3,
            "functions_at_startup": 1,
            "lines_covered": 1,
            "lines_total": 4,
            "percent": 33.33,
        },
        {
            "module": "shop.orders",
            "functions_covered": 4,
            "functions_total": 5,
            "functions_at_startup": 0,
            "lines_covered": 6,
            "lines_total": 8,
            "percent": 80.0,
        },
    ]
    assert [row["symbol"] for row in table(report, "gaps.csv")] == [gap["symbol"] for gap in found["gaps"]]
    assert [row["at_startup"] for row in table(report, "gaps.csv")] == ["true", "false", "false", "false"]


def test_the_leaderboard_ranks_by_functions(report: Report) -> None:
    first, second = document(report, "leaderboard.json")["leaderboard"]
    assert first == {
        "position": 1,
        "profile": "checkout",
        "functions": 5,
        "functions_covered": 5,
        "functions_total": 8,
        "percent": 62.5,
        "lines_covered": 7,
        "lines_total": 12,
        "lines_percent": 58.33,
        "runs": 1,
        "failed_runs": 0,
        "counted_runs": 1,
        "requests": 1,
        "jobs": 1,
        "complete": True,
        "incomplete_reasons": [],
        "incomplete_details": [],
        "first_seen": "2026-01-01T00:00:01.000000Z",
        "last_seen": "2026-01-01T00:00:02.000000Z",
    }
    assert (second["position"], second["profile"], second["functions"], second["percent"]) == (2, "browse", 3, 37.5)
    rows = table(report, "leaderboard.csv")
    assert [(row["profile"], row["complete"]) for row in rows] == [("checkout", "true"), ("browse", "true")]


def test_profiles_that_execute_equally_much_share_a_position(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    fill(store, tree, [TracedSpan(id=name, trace=name, profile=name, functions=PLACE) for name in ("b", "a")])
    insert_spans(store, TracedSpan(id="c", trace="c", profile="c", functions=PLACE[:1]))
    report = write_report(select_revision(store), tree, tmp_path / "out")
    assert [(row["position"], row["profile"]) for row in table(report, "leaderboard.csv")] == [
        ("1", "a"), ("1", "b"), ("3", "c"),
    ]  # fmt: skip


def test_redundancy_has_what_each_profile_adds_and_which_others_contain_it(report: Report) -> None:
    found = document(report, "redundancy.json")
    assert found["redundancy"] == [
        {"profile": "browse", "functions": 3, "unique_functions": 0, "contained_in": ["checkout"], "complete": True},
        {"profile": "checkout", "functions": 5, "unique_functions": 2, "contained_in": [], "complete": True},
    ]
    assert found["smallest_set"] == [{"profile": "checkout", "adds": 5, "functions": 5, "percent": 100.0}]


def test_the_symbols_are_the_catalog_with_what_was_covered(report: Report) -> None:
    symbols = document(report, "symbols.json")["symbols"]
    assert symbols[3] == {
        "id": "shop.jobs:Unused.run@11",
        "module": "shop.jobs",
        "qualname": "Unused.run",
        "line": 11,
        "kind": "function",
        "file": "shop/jobs.py",
        "end_line": 11,
        "parent": "Unused",
        "executable_lines": [11],
        "covered": False,
    }
    assert [symbol["id"] for symbol in symbols if symbol["covered"]] == [
        "shop.jobs:mail@1",
        "shop.orders:Order@4",
        "shop.orders:Order.__init__@7",
        "shop.orders:Order.total@10",
        "shop.orders:place@27",
        "shop.orders:place.<locals>.check@28",
    ]


def test_the_same_data_gives_the_same_bytes_in_whatever_order_it_came(
    store: Store, tree: SourceTree, tmp_path: Path
) -> None:
    fill(store, tree)
    first = write_report(select_revision(store), tree, tmp_path / "first")
    for span in (*reversed(SPANS), SPANS[1]):  # delivered again, one by one
        insert_spans(store, span, rendering="rotel")
    second = write_report(select_revision(store), tree, tmp_path / "second")
    assert first.files == second.files
    for name in first.files:
        assert (first.out / name).read_bytes() == (second.out / name).read_bytes(), name


def test_without_a_catalog_nothing_is_claimed_about_gaps(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    insert_spans(store, *SPANS)
    report = write_report(select_revision(store), tree, tmp_path / "out")
    assert document(report, "gaps.json")["catalog"] is False
    assert document(report, "leaderboard.json")["leaderboard"][0]["percent"] is None
    assert table(report, "leaderboard.csv")[0]["percent"] == ""
    assert any("No catalog was pushed" in note for note in report.notes)
    assert "No catalog was pushed" in (report.out / "summary.md").read_text()


class TestTheFolder:
    def test_keeps_what_is_not_the_reports(self, store: Store, tree: SourceTree, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()
        for name in ("notes.txt", ".coverage", "mine.coverage"):
            (out / name).write_text("mine")
        fill(store, tree)
        write_report(select_revision(store), tree, out)
        assert [(out / name).read_text() for name in ("notes.txt", ".coverage", "mine.coverage")] == ["mine"] * 3

    def test_loses_the_data_files_of_profiles_that_are_gone(
        self, store: Store, tree: SourceTree, tmp_path: Path
    ) -> None:
        fill(store, tree)
        write_report(select_revision(store), tree, tmp_path / "out")
        insert_spans(store, SPANS[0].but(revision="next", second=99))
        report = write_report(select_revision(store), tree, tmp_path / "out")
        assert sorted(path.name for path in report.out.glob("*.coverage")) == ["all.coverage", "checkout.coverage"]
        assert sorted(path.name for path in report.out.iterdir() if path.is_dir()) == ["checkout"]

    def test_is_as_it_was_when_something_goes_wrong_on_the_way(
        self, store: Store, tree: SourceTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(store, tree)
        report = write_report(select_revision(store), tree, tmp_path / "out")
        before = {path: path.read_bytes() for path in report.out.rglob("*") if path.is_file()}
        insert_spans(store, SPANS[0].but(revision="next", second=99))

        def full(*arguments: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("otel_coverage.reporting.report.write_text", full)
        with pytest.raises(ConfigurationError, match="out: the report cannot be written: No space left on device"):
            write_report(select_revision(store), tree, report.out)
        assert {path: path.read_bytes() for path in report.out.rglob("*") if path.is_file()} == before
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    def test_has_to_be_a_folder(self, reported: Reported, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("mine")
        with pytest.raises(ConfigurationError, match="out: not a folder"):
            write_report(reported.report.queries, reported.tree, tmp_path / "out")
        assert (tmp_path / "out").read_text() == "mine"


def test_what_a_killed_report_left_is_deleted_by_the_next_and_what_another_one_writes_is_not(tmp_path: Path) -> None:
    draft = f".out.{platform.node()}"
    of_killed, of_another, elsewhere = f"{draft}.999999999", f"{draft}.{os.getppid()}", f".out.{'x' * 12}.999999999"
    for name in (of_killed, of_another, elsewhere):
        (tmp_path / name).mkdir()
        (tmp_path / name / "matrix.json").write_text("{}", encoding="utf-8")
    with published(tmp_path / "out") as folder:
        (folder / "new.json").write_text("{}", encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {of_another, elsewhere, "out"}
