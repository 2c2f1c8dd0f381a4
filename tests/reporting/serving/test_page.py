"""The page over a live store, in a real browser, with the spans of a real collector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.reporting.project import SPANS, make_project
from tests.reporting.serving.collecting import PATIENCE, collecting

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHECKOUT, MAIL, BROWSE, _ = SPANS
LONG = 1000 * PATIENCE  # milliseconds


def test_an_open_page_fills_with_the_first_spans_and_shows_later_ones_where_it_is(
    browser: Browser, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    failures: list[str] = []
    with collecting(tmp_path) as served, browser.new_context(viewport={"width": 1440, "height": 500}) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda message: failures.append(message.text) if message.type == "error" else None)
        table = page.get_by_role("table", name="Profiles")
        page.goto(f"{served.url}#/profiles?profiles-filter=k")
        expect(page.get_by_role("heading", name="Waiting for the first spans")).to_be_visible(timeout=LONG)
        assert page.url == f"{served.base}/#/profiles?profiles-filter=k"  # the token is not to be seen

        served.push_catalog(make_project(tmp_path / "project"))
        served.export(CHECKOUT, MAIL)
        expect(table.get_by_role("link", name="checkout", exact=True)).to_be_visible(timeout=LONG)
        expect(page.get_by_text("updated", exact=False)).to_be_visible()

        page.get_by_role("button", name="Pause").click()
        page.get_by_role("searchbox", name="Filter profiles").focus()
        page.evaluate("document.querySelector('main').dataset.same = 'yes'")
        page.evaluate("document.querySelector('main').style.minHeight = '3000px'; scrollTo(0, 120)")
        before = served.wait_for(lambda status: status["version"])["version"]
        served.export(BROWSE, BROWSE.but(id="s9", trace="t9", profile="basket", second=9))
        served.wait_for(lambda status: status["version"] not in ("", before))
        expect(table.get_by_role("link", name="basket", exact=True)).to_have_count(0)  # it is paused

        page.get_by_role("button", name="Resume").click()
        expect(table.get_by_role("link", name="basket", exact=True).first).to_be_visible(timeout=LONG)
        expect(page.get_by_role("status").filter(has_text="2 of 3 rows")).to_be_visible()  # the filter holds
        assert page.url == f"{served.base}/#/profiles?profiles-filter=k"
        assert page.evaluate("document.querySelector('main').dataset.same") == "yes"  # and nothing was built anew
        assert page.evaluate("scrollY") == 120

        assert served.end() == 0
        expect(page.get_by_text("The server does not answer")).to_be_visible(timeout=LONG)
        expect(table.get_by_role("link", name="basket", exact=True).first).to_be_visible()
    assert [each for each in failures if "ERR_CONNECTION" not in each] == []
