"""The page about code and profiles whose names, or numbers, would break a careless one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reporting.page.conftest import CLASSES, HOSTILE, LONG, Show

pytest.importorskip("playwright", reason="the page is tested by Playwright: pip install playwright")

from playwright.sync_api import expect


def test_names_from_elsewhere_neither_break_nor_run(show: Show, hostile: Path) -> None:
    for view in ("#/", "#/profiles", "#/code?show=tree", "#/code", "#/matrix", f"#/function/shop.long%3A{LONG}%404"):
        page = show(view, file=hostile, width=390)
        assert page.evaluate("window.ran") is None
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.keyboard.press("/")
    page.keyboard.type("onerror")
    expect(page.get_by_role("option").first).to_contain_text(HOSTILE[0].partition("@")[0])


def test_a_table_is_saved_as_csv_without_formulas(show: Show, hostile: Path) -> None:
    page = show("#/profiles", file=hostile)
    page.goto(f"{hostile.as_uri()}#/profile/{'a%3C%2Fscript%3E%3Cb%3E%3D1'}")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save functions as CSV").click()
    text = saved.value.path().read_text(encoding="utf-8")
    assert text.splitlines()[0] == "function,lines_run,lines_share,profiles,trace"
    assert "\n'=shop.formula:run@6," in text


def test_ten_thousand_classes_of_one_module_are_shown_a_screen_at_a_time(show: Show, crowded: Path) -> None:
    page = show("#/code/shop.all?show=tree", file=crowded)
    rows = page.locator("[data-row]")
    expect(page.get_by_role("status")).to_have_text(f"{CLASSES:,} rows")
    expect(rows.first).to_contain_text("C00000")
    assert rows.count() < 100
    page.get_by_role("button", name="C00000 class").focus()
    page.keyboard.press("End")
    expect(page.locator("[data-row] :focus")).to_have_count(1)
    expect(rows.last).to_contain_text(f"C{CLASSES - 1:05}")
    assert rows.count() < 200
    for view, text in (
        ("#/code/shop.all", f"1 of {CLASSES:,} functions run"),
        ("#/matrix/shop.all", "Functions of each part"),
        ("#/gaps", f"{CLASSES - 1:,} of {CLASSES:,} functions that no profile runs"),
    ):
        page.evaluate("view => { location.hash = view }", view)
        expect(page.locator("main")).to_contain_text(text)
        assert page.locator("main *").count() < 5_000, view
    page.keyboard.press("/")
    page.keyboard.type("C09998")
    expect(page.get_by_role("option").first).to_contain_text("C09998")


def test_of_a_table_that_is_too_long_to_be_printed_its_first_rows_are_and_it_says_so(show: Show, crowded: Path) -> None:
    page = show("#/gaps", file=crowded)
    expect(page.locator("[data-row]").first).to_be_visible()
    page.evaluate(
        """addEventListener("beforeprint", () => queueMicrotask(() => {
            window.printed = [document.querySelectorAll("[data-row]").length, document.querySelector("main").innerText];
        }))"""
    )
    page.pdf(page_ranges="1")
    rows, text = page.evaluate("window.printed")
    assert rows == 2_000
    assert f"The first 2,000 of {CLASSES - 1:,} rows; the CSV file has all." in text
    expect(page.locator("[data-row]").nth(100)).to_have_count(0)
