"""What the page says of a baseline and of earlier revisions."""

from __future__ import annotations

import pytest

from tests.reporting.conftest import Compared
from tests.reporting.nights import OLD
from tests.reporting.page.conftest import Show

pytest.importorskip("playwright", reason="the page is tested by Playwright: pip install playwright")
pytest.importorskip("axe_playwright_python")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

VIEWS = [
    "#/overview",
    "#/changes",
    "#/changes?part=code",
    "#/changes?part=entries",
    "#/changes?part=profiles",
    "#/code",
    "#/code?show=tree",
]


def test_the_overview_tells_what_changed_and_leads_to_it(show: Show, compared: Compared) -> None:
    page = show(file=compared.report.out / "index.html")
    since = page.get_by_role("region", name=f"Since {OLD}")
    expect(since.get_by_role("link", name="Functions +1 −2 gained and lost (1 removed), 1 unknown")).to_be_visible()
    expect(since.get_by_role("link", name="New, not run 1 of 2 functions")).to_be_visible()
    expect(page.locator(".tile", has_text="Functions run")).to_contain_text("3 of 6 −2")
    expect(page.get_by_role("img", name="Functions run at the last 2 revisions: 100 %, 50.0 %")).to_be_visible()
    since.get_by_role("link", name="All changes").click()
    functions = page.locator("[data-row]")
    expect(functions.nth(0)).to_contain_text("Order.cancel")
    expect(functions.nth(1)).to_contain_text("refund")
    expect(functions.nth(1)).to_contain_text("removed")
    expect(functions.nth(2)).to_contain_text("lost?")
    functions.nth(0).get_by_role("link").click()
    card = page.locator(".card", has_text=f"Since {OLD}")
    expect(card.locator("li", has_text="Lost by")).to_contain_text("browse")
    expect(card.locator("li", has_text="Lines lost")).to_contain_text("10")


def test_the_treemap_has_four_colours_and_can_show_the_share_instead(show: Show, compared: Compared) -> None:
    page = show("#/code", file=compared.report.out / "index.html")
    expect(page.locator(".legend")).to_contain_text("changed, not run")
    for name in ("audit, function, 1 line, 0 % run, new and not run", "ship, function, 1 line, 0 % run, changed and"):
        expect(page.get_by_role("link", name=name)).to_have_count(1)
    page.get_by_role("link", name="Share run").click()
    expect(page.locator(".legend")).to_contain_text("no line runs")
    expect(page.get_by_role("link", name="audit, function, 1 line, 0 % run", exact=True)).to_have_count(1)


def test_the_tree_says_what_changed_and_no_profile_runs(show: Show, compared: Compared) -> None:
    page = show("#/code?show=tree", file=compared.report.out / "index.html")
    rows = page.locator("[data-row]")
    expect(rows).to_have_count(5)
    read = "rows => rows.map(row => [row.querySelector('.name').textContent, row.lastChild.textContent])"
    assert rows.evaluate_all(read) == [
        ["Order", "unchanged"],
        ["place", "changed, run"],
        ["ship", "changed, not run"],
        ["invoice", "changed, run"],
        ["audit", "new, not run"],
    ]
    page.get_by_role("button", name="Changed, not run").click()
    expect(rows.locator(".name")).to_have_text(["ship", "audit", "Order", "place", "invoice"])


def test_the_views_of_changes_are_accessible_and_fit_a_narrow_screen(show: Show, compared: Compared) -> None:
    for scheme in ("light", "dark"):
        page = show(file=compared.report.out / "index.html", width=390, scheme=scheme)
        for view in VIEWS:
            page.evaluate("view => { location.hash = view }", view)
            expect(page.locator(f"a[aria-current=page][href='{view}']").first).to_be_visible()  # it is this view now
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (view, scheme)
