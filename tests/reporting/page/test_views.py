"""The page in a browser, as people use it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from otel_coverage.reporting.page.bundle import bundle
from otel_coverage.reporting.page.page import write_page
from otel_coverage.reporting.queries import select_revision
from tests.reporting.conftest import Compared, Reported
from tests.reporting.page.conftest import Show

pytest.importorskip("playwright", reason="the page is tested by Playwright: pip install playwright")
pytest.importorskip("axe_playwright_python")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

VIEWS = {
    "overview": "#/",
    "profiles": "#/profiles",
    "profile": "#/profile/checkout",
    "overlap": "#/profile/checkout?part=overlap",
    "runs": "#/profile/checkout?part=runs",
    "two profiles": "#/compare/browse/checkout",
    "entry points": "#/entries",
    "treemap": "#/code",
    "tree": "#/code?show=tree",
    "function": "#/function/shop.orders%3AOrder.total%4010",
    "function not run": "#/function/shop.orders%3AOrder.cancel%4019",
    "matrix": "#/matrix",
    "gaps": "#/gaps",
    "licences": "#/licenses",
}
# views with a table, its label, and the name of its file; two that follow one another have different labels
TABLES = [
    ("#/profiles", "Profiles", "profiles"),
    ("#/profile/checkout", "Functions", "functions"),
    ("#/profile/checkout?part=entries", "Entry points", "entries"),
    ("#/profile/checkout?part=only", "Functions only here", "only"),
    ("#/profile/checkout?part=overlap", "Overlap", "overlap"),
    ("#/compare/browse/checkout?side=both", "Functions", "compared"),
    ("#/entries", "Entry points", "entries"),
    ("#/entries?part=gaps", "Entry points not reached", "entry-gaps"),
    ("#/entry/web/request/POST%20%2Forders", "Functions", "reached"),
    ("#/code?show=tree", "Code", "tree"),
    ("#/gaps", "Gaps", "gaps"),
]
CHANGE_TABLES = [
    ("#/changes", "Functions", "functions"),
    ("#/changes?part=code", "New and changed code", "code"),
    ("#/changes?part=entries", "Entry points", "entries"),
    ("#/changes?part=profiles", "Profiles", "profiles"),
]


def test_the_overview_says_what_the_other_files_say(show: Show, reported: Reported) -> None:
    page = show()
    totals = reported.report.queries.totals
    tile = page.locator(".tile", has_text="Functions run")
    expect(tile).to_contain_text(f"{totals['functions_covered']} of {totals['functions_total']}")
    expect(page.locator(".banner")).to_contain_text("Complete.")
    expect(page.get_by_role("link", name="checkout").first).to_be_visible()


def test_profiles_that_were_not_played_this_time_are_named_where_it_says_complete(
    show: Show, partly_played: Path
) -> None:
    page = show(file=partly_played)
    banner = page.get_by_role("region", name="Complete as far as is known, within these limits")
    expect(banner).to_contain_text("no run at this revision did: 'checkout'")
    expect(page.locator(".banner-good")).to_have_count(0)
    expect(page.get_by_text("no run at this revision did")).to_have_count(1)


def test_a_misspelled_name_is_found_from_anywhere_and_back_leads_back(show: Show) -> None:
    page = show("#/gaps")
    page.keyboard.press("/")
    page.keyboard.type("cancle")
    expect(page.get_by_role("option").first).to_contain_text("Order.cancel")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Order.cancel")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Gaps")


def test_a_key_that_comes_as_soon_as_the_page_is_ready_is_not_lost(reported: Reported, browser: Browser) -> None:
    context = browser.new_context()
    context.add_init_script(
        """
        new MutationObserver((_, observer) => {
          observer.disconnect();
          document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "/", bubbles: true }));
        }).observe(document, { attributeFilter: ["data-ready"], subtree: true });
        """
    )
    page = context.new_page()
    page.goto((reported.report.out / "index.html").as_uri())
    expect(page.get_by_role("combobox")).to_be_focused()
    context.close()


def test_a_table_is_sorted_and_filtered_and_its_address_keeps_it(show: Show) -> None:
    page = show("#/profiles")
    names = page.locator("[role=cell] a.name")
    expect(names.first).to_have_text("checkout")
    page.get_by_role("button", name="Profile", exact=True).click()
    expect(names.first).to_have_text("browse")
    page.get_by_role("searchbox", name="Filter profiles").fill("check")
    expect(page.get_by_role("status")).to_have_text("1 of 2 rows")
    page.reload()
    expect(page.get_by_role("status")).to_have_text("1 of 2 rows")
    expect(names.first).to_have_text("checkout")


def test_rows_are_reached_and_opened_by_the_keyboard_alone(show: Show) -> None:
    page = show("#/profiles")
    page.get_by_role("checkbox").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-row='1'] :focus")).to_have_count(1)
    page.keyboard.press("Tab") if page.locator("input:focus").count() else None
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("browse")


def test_functions_stand_below_their_module_which_the_keyboard_closes_and_opens(show: Show) -> None:
    page = show("#/profile/checkout")
    jobs = page.get_by_role("row", name="shop.jobs")
    expect(jobs).to_contain_text("1 of 3 functions")
    function = page.get_by_role("link", name="mail", exact=True)
    expect(function).to_be_visible()
    page.get_by_role("button", name="shop.jobs").focus()
    page.keyboard.press("ArrowLeft")
    expect(function).to_have_count(0)
    expect(jobs).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(function).to_be_visible()
    page.get_by_role("searchbox", name="Filter functions").fill("total")
    expect(jobs).to_have_count(0)
    expect(page.get_by_role("row", name="shop.orders")).to_contain_text("1 of 5 functions")


def test_functions_are_sorted_across_modules_where_they_do_not_stand_below_them(show: Show) -> None:
    page = show("#/profile/checkout")
    page.get_by_label("By module").uncheck()
    names = page.locator("[role=cell] a.name")
    expect(names.first).to_have_text("shop.jobs:mail")
    page.get_by_role("button", name="Lines run").click()
    expect(names.first).to_have_text("shop.orders:Order.total")
    expect(page.get_by_role("row", name="shop.orders 4 of")).to_have_count(0)


def test_two_profiles_stand_side_by_side(show: Show) -> None:
    page = show("#/profiles")
    for name in ("browse", "checkout"):
        page.get_by_role("checkbox", name=f"Compare {name}").check()
    page.get_by_role("link", name="Compare both").click()
    expect(page.locator(".tile", has_text="Both")).to_contain_text("3")
    page.get_by_role("link", name="Only checkout 2").click()
    expect(page.locator("[role=cell] a.name")).to_have_text(["shop.jobs", "mail", "shop.orders", "Order.total"])


def test_a_function_opens_to_the_profiles_of_each_of_its_lines(show: Show) -> None:
    page = show("#/function/shop.orders%3AOrder.total%4010")
    lines = page.locator(".lines > li")
    expect(lines.nth(0)).to_contain_text("12")
    expect(lines.nth(0)).to_contain_text("checkout")
    expect(page.locator(".lines .is-gap")).to_contain_text("13")


def test_what_no_profile_runs_says_so_and_keys_lead_from_gap_to_gap(show: Show) -> None:
    page = show("#/gaps")
    page.keyboard.press("n")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("nightly")
    expect(page.locator(".banner")).to_contain_text("It runs when a process starts")
    page.keyboard.press("n")
    expect(heading).to_contain_text("Unused.run")
    page.keyboard.press("p")
    expect(heading).to_contain_text("nightly")


def test_the_tree_hides_what_is_covered_and_remembers_it(show: Show) -> None:
    page = show("#/code?show=tree")
    page.get_by_role("button", name="orders module").click()
    expect(page.get_by_role("link", name="place", exact=True)).to_be_visible()
    page.get_by_label("Hide what is covered").check()
    expect(page.get_by_role("link", name="place", exact=True)).to_have_count(0)
    page.goto(page.url.partition("#")[0] + "#/code?show=tree")
    expect(page.get_by_label("Hide what is covered")).to_be_checked()


def test_the_treemap_zooms_by_links(show: Show) -> None:
    page = show("#/code")
    page.get_by_role("link", name="orders, module").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shop.orders")
    page.get_by_role("link", name="place, function").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("place")


def test_the_matrix_is_read_by_arrow_keys(show: Show) -> None:
    page = show("#/matrix")
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("status")).to_contain_text("browse runs 0 of 3 functions of shop.jobs")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("shop.orders")


def test_each_table_is_saved_as_csv_with_all_of_its_rows(show: Show, linked: Path, compared: Compared) -> None:
    for file, tables in ((linked, TABLES), (compared.report.out / "index.html", CHANGE_TABLES)):
        for view, label, name in tables:
            # a page each: Chromium drops what a page saves after ten files within a second
            page = show(view, file=file)
            expect(page.get_by_role("table", name=label, exact=True)).to_be_visible()
            count = int(page.locator(".tools-end").get_by_role("status").inner_text().split()[0])
            with page.expect_download() as saved:
                page.get_by_role("button", name=f"Save {label.lower()} as CSV").click()
            assert saved.value.suggested_filename == f"{name}.csv", view
            text = saved.value.path().read_text(encoding="utf-8")
            assert len(list(csv.DictReader(text.splitlines()))) == count > 0, view


@pytest.mark.parametrize("name", VIEWS)
def test_each_view_is_accessible_and_fits_a_telephone(name: str, show: Show) -> None:
    for width, scheme in ((1440, "light"), (390, "dark")):
        page = show(VIEWS[name], width=width, scheme=scheme)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_the_same_data_gives_the_same_page(reported: Reported, built: None, tmp_path: Path) -> None:
    found = bundle()
    assert found is not None
    pages = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        write_page(select_revision(reported.store), found, tmp_path / name)
        pages.append((tmp_path / name / "index.html").read_bytes())
    assert pages[0] == pages[1]


def test_a_function_and_a_profile_lead_to_coverages_pages(show: Show) -> None:
    page = show("#/function/shop.orders%3AOrder.total%4010")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="in coverage.py’s pages").click()
    shown = opened.value
    expect(shown).to_have_title("Coverage for shop/orders.py: 75%")
    assert shown.url.endswith("#t10")
    expect(shown.locator("#t10")).to_be_visible()
    profile = show("#/profile/browse")
    with profile.expect_popup() as opened:
        profile.get_by_role("link", name="in coverage.py’s pages").click()
    expect(opened.value.get_by_role("heading", level=1)).to_contain_text("Coverage by browse")
