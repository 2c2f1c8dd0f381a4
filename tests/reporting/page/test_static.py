"""The page where its program is not built."""

from __future__ import annotations

from pathlib import Path

from otel_coverage.reporting.page.page import write_page
from tests.reporting.conftest import Reported


def test_without_its_program_the_page_is_a_summary_that_says_how_to_get_it(reported: Reported, tmp_path: Path) -> None:
    write_page(reported.report.queries, None, tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<code>make page</code>" in text
    assert "<td>checkout</td><td>5</td>" in text
    assert "<script" not in text
