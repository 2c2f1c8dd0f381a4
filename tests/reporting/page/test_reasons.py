"""What the page says of a profile and of a function, and where it leads from there."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.reporting.page.conftest import CANCEL, LONG_PROFILE, Show

pytest.importorskip("playwright", reason="the page is tested by Playwright: pip install playwright")

from playwright.sync_api import expect

TOTAL = quote("shop.orders:Order.total@10", safe="")
REQUEST, JOB = "POST /orders", "shop.jobs:mail"


def test_a_profiles_entry_points_have_durations_and_lead_to_their_traces(show: Show, linked: Path) -> None:
    page = show("#/profile/checkout?part=entries", file=linked)
    row = page.get_by_role("row", name=REQUEST)
    expect(row).to_have_accessible_name(f"{REQUEST} request web 2 1 4 7.0 ms 7.0 ms t1")  # browse took 5
    expect(row.get_by_role("link", name="t1")).to_have_attribute("href", "https://traces.example/t1")
    row.get_by_role("link", name=REQUEST).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(REQUEST)
    expect(page.get_by_role("row", name="shop.orders 4 of 5 functions")).to_be_visible()


def test_a_profile_that_another_one_contains_says_which(show: Show, linked: Path) -> None:
    page = show("#/profile/browse", file=linked)
    redundant = page.locator(".title p", has_text="Redundant: all that it runs is also run by")
    redundant.get_by_role("link", name="checkout").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("checkout")
    expect(page.locator(".title")).to_contain_text("No other profile runs all that it runs.")


def test_of_an_incomplete_profile_it_is_unknown_whether_it_is_redundant(show: Show, hostile: Path) -> None:
    page = show("#/", file=hostile)
    banner = page.get_by_role("region", name="Incomplete: coverage is missing, so no gap is certain")
    expect(banner).to_contain_text("y" * 50)
    banner.get_by_role("link", name=LONG_PROFILE).click()
    expect(page.locator(".title")).to_contain_text("Whether it is redundant is unknown")
    expect(page.locator(".banner")).to_contain_text("May run more than this.")


def test_a_function_leads_to_the_entry_points_above_it_and_to_its_source(show: Show, linked: Path) -> None:
    page = show(f"#/function/{TOTAL}", file=linked)
    source = page.get_by_role("link", name="shop/orders.py:10")
    expect(source).to_have_attribute("href", "https://forge.example/abc/shop/orders.py#L10")
    card = page.locator(".card", has_text="Entry points that lead here")
    expect(card.get_by_role("link")).to_have_text([REQUEST])


@pytest.mark.parametrize(
    ("symbol", "why"),
    [
        (CANCEL, "It serves POST /cancel, which no profile requests."),
        ("shop.jobs:Unused.run@11", f"Profiles reach its module through {JOB}, and it was not taken."),
    ],
    ids=["nobody asks for its route", "it was not taken"],
)
def test_a_function_that_no_profile_runs_says_why(symbol: str, why: str, show: Show, linked: Path) -> None:
    page = show(f"#/function/{quote(symbol, safe='')}", file=linked)
    expect(page.locator(".banner")).to_have_text(f"No profile runs it. {why}")


def test_routes_that_no_profile_requests_are_listed_with_their_function(show: Show, linked: Path) -> None:
    page = show("#/entries?part=gaps", file=linked)
    row = page.get_by_role("row", name="POST /cancel")
    row.get_by_role("link", name=CANCEL).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Order.cancel")


def test_a_pinned_profile_stands_at_the_top_of_the_matrix_and_in_its_address(show: Show, linked: Path) -> None:
    page = show("#/matrix", file=linked)
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("status")).to_contain_text("browse runs")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.wait_for_url("**/*pin=checkout*")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("status")).to_contain_text("checkout runs")
