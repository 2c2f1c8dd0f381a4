"""What a report has for each profile, as somebody reads it; it is made once for all of these tests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import coverage
import pytest

from otel_coverage.reporting.report import Report
from tests.reporting.conftest import Reported

LINES = {
    "browse": {"shop/orders.py": [8, 28, 29, 30]},
    "checkout": {"shop/jobs.py": [2], "shop/orders.py": [8, 12, 14, 28, 29, 30]},
}
STATEMENTS = {"shop/jobs.py": [2, 6, 7, 11], "shop/orders.py": [8, 12, 13, 14, 20, 28, 29, 30]}  # inside functions


def lines_of(page: Path, kind: str) -> list[int]:
    """The first lines of statements that one of coverage.py's pages shows as ``run`` or ``mis``."""
    shown = re.findall(rf'<p class="{kind}( show_{kind})?"><span class="n"><a id="t(\d+)"', page.read_text())
    return [int(line) for _, line in shown]


def page_of(folder: Path, file: str) -> Path:
    (found,) = folder.glob(f"*{file}.html")
    return found


def test_the_document_has_the_shape_that_was_agreed_on(report: Report) -> None:
    found = json.loads((report.out / "checkout" / "report.json").read_text())
    symbols = {symbol.pop("id"): symbol for symbol in found.pop("symbols")}
    assert symbols["shop.orders:Order.total@10"] == {
        "name": "Order.total",
        "kind": "function",
        "file": "shop/orders.py",
        "line_span": [10, 17],
        "executed_lines": [12, 14],
        "covered": True,
    }
    assert {symbol for symbol, found in symbols.items() if found["covered"]} == {
        "shop.jobs:mail@1",
        "shop.orders:Order@4",
        "shop.orders:Order.__init__@7",
        "shop.orders:Order.total@10",
        "shop.orders:place@27",
        "shop.orders:place.<locals>.check@28",
    }
    assert symbols["shop.orders:Order.cancel@19"]["executed_lines"] == []
    (request, job) = found.pop("entry_points")
    assert (request["service"], request["kind"], request["requests"], request["functions"]) == ("web", "request", 1, 4)
    assert (job["service"], job["kind"], job["requests"], job["functions"]) == ("worker", "job", 1, 1)
    assert found == {
        "schema_version": 1,
        "profile": "checkout",
        "timestamp": "2026-01-01T00:00:02.000000Z",
        "revision": "abc",
        "namespace": "",
        "services": ["web", "worker"],
        "selection": {"runs": None, "since": None, "profiles": None},
        "complete": True,
        "incomplete_reasons": [],
        "incomplete_details": [],
        "runs": 1,
        "failed_runs": 0,
        "counted_runs": 1,
        "certain": True,
        "problems": [],
        "summary": {
            "file_count": 2,
            "module_count": 2,
            "class_count": 1,
            "function_count": 5,
            "lines_covered": 7,
            "lines_total": 12,
            "coverage_percent": 58.33,
        },
        "modules": ["shop.jobs", "shop.orders"],
        "classes": ["shop.orders:Order"],
    }


@pytest.mark.parametrize("profile", list(LINES))
def test_coverages_pages_colour_the_lines_that_the_profile_executed_and_show_the_files_it_reached(
    report: Report, profile: str
) -> None:
    pages = report.out / profile / "html"
    assert len(list(pages.glob("z_*.html"))) == len(LINES[profile])
    for file, lines in LINES[profile].items():
        page = page_of(pages, Path(file).name.replace(".", "_"))
        assert lines_of(page, "run") == lines
        assert lines_of(page, "mis") == sorted(set(STATEMENTS[file]) - set(lines))


def test_the_pages_of_all_name_the_profiles_of_each_line(report: Report) -> None:
    page = page_of(report.out / "html", "orders_py").read_text()
    names = json.loads(re.search(r"contexts = (\{.*?\n\})", page, re.DOTALL)[1])  # type: ignore[index]
    assert set(names.values()) == {"browse", "checkout"}
    data = coverage.CoverageData(str(report.out / "all.coverage"))
    data.read()
    assert data.measured_contexts() == {"browse", "checkout"}
    lines = data.contexts_by_lineno("shop/orders.py")
    assert {line: sorted(profiles) for line, profiles in lines.items() if line in (8, 12)} == {
        8: ["browse", "checkout"],
        12: ["checkout"],
    }


def test_further_formats_are_coverages_own(report: Report) -> None:
    lcov = (report.out / "browse" / "coverage.lcov").read_text()
    of_orders = lcov.partition("SF:shop/orders.py\n")[2].partition("end_of_record")[0]
    assert [int(line) for line in re.findall(r"DA:(\d+),1", of_orders)] == LINES["browse"]["shop/orders.py"]
    xml = (report.out / "checkout" / "coverage.xml").read_text()
    assert xml.count('hits="1"') == sum(map(len, LINES["checkout"].values()))
    assert re.search(r"\| shop/orders.py +\| +8 \| +2 \| +75% \|", (report.out / "all.md").read_text())


def test_no_file_depends_on_the_time_of_the_report(report: Report) -> None:
    for pages in (report.out / "html", report.out / "browse" / "html"):
        for page in pages.glob("*.html"):
            assert set(re.findall("created at ([^<\n]*)", page.read_text())) == {"2026-01-01 00:00 +0000"}
    assert 'timestamp="1767225603000"' in (report.out / "all.xml").read_text()


def test_no_file_names_the_folder_of_the_source(reported: Reported) -> None:
    place = reported.tree.roots[0].folder.encode()
    named = [
        path.relative_to(reported.report.out).as_posix()
        for path in reported.report.out.rglob("*")
        if path.is_file() and place in path.read_bytes()
    ]
    assert named == []
