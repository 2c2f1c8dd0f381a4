"""The page on hosts that restrict it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from otel_coverage.reporting.page.bundle import bundle
from otel_coverage.reporting.page.page import write_page
from tests.reporting.conftest import Reported
from tests.reporting.page.conftest import Show

pytest.importorskip("playwright", reason="the page is tested by Playwright: pip install playwright")

from playwright.sync_api import Browser, Page, expect

OWN_FILES = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'"
JENKINS = "sandbox; default-src 'none'; img-src 'self'; style-src 'self';"

Serve = Callable[[Path, str], str]


class _Restricting(SimpleHTTPRequestHandler):
    def __init__(self, *args: Any, policy: str, **options: Any) -> None:
        self._policy = policy
        super().__init__(*args, **options)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", self._policy)
        super().end_headers()

    def log_message(self, *args: Any) -> None:
        """Tests read no log."""


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves a folder with a Content-Security-Policy, and returns the address of its page."""
    servers = []

    def served(folder: Path, policy: str) -> str:
        handler = partial(_Restricting, policy=policy, directory=str(folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/index.html"

    yield served
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def tab(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A tab, and what the browser complains about in it."""
    with browser.new_context() as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page, complaints


def split(reported: Reported, folder: Path) -> None:
    found = bundle()
    assert found is not None
    write_page(reported.report.queries, found, folder, split=True)


def test_beside_its_script_and_style_the_page_works_on_a_host_that_allows_files_alone(
    serve: Serve, tab: tuple[Page, list[str]], reported: Reported, tmp_path: Path
) -> None:
    split(reported, tmp_path)
    page, complaints = tab
    page.goto(serve(tmp_path, OWN_FILES))
    for view, heading in (
        ("Profiles", "Profiles"),
        ("Entry points", "Entry points"),
        ("Code", "Code"),
        ("Matrix", "Matrix"),
        ("Gaps", "Gaps"),
    ):
        page.get_by_role("navigation").get_by_role("link", name=view, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
    bar = page.locator(".top").evaluate("element => getComputedStyle(element).position")
    assert bar in ("sticky", "fixed")  # its looks are there
    page.keyboard.press("/")
    page.keyboard.type("cancel")
    expect(page.get_by_role("option").first).to_contain_text("Order.cancel")
    page.keyboard.press("Escape")
    page.goto(page.url.partition("#")[0] + "#/code?show=tree")
    page.get_by_role("button", name="orders module").click()
    expect(page.get_by_role("link", name="place", exact=True)).to_be_visible()
    assert complaints == []


def test_beside_its_script_and_style_the_page_opens_from_disk_and_keeps_its_own_policy(
    show: Show, reported: Reported, tmp_path: Path
) -> None:
    split(reported, tmp_path)
    found = bundle()
    assert found is not None
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "script-src 'self'; style-src 'self'" in text
    assert "<style>" not in text
    assert " style=" not in text
    assert found.script not in text
    page = show(file=tmp_path / "index.html")
    expect(page.get_by_role("heading", level=1)).to_contain_text("abc")


@pytest.mark.parametrize("policy", [OWN_FILES, JENKINS], ids=["scripts from files alone", "Jenkins"])
def test_a_host_that_forbids_inline_script_shows_the_summary_and_why(
    policy: str, serve: Serve, tab: tuple[Page, list[str]], reported: Reported
) -> None:
    page, complaints = tab
    page.goto(serve(reported.report.out, policy))
    expect(page.get_by_role("heading", level=1)).to_have_text("Coverage of abc")
    expect(page.get_by_text("Jenkins forbids inline script")).to_be_visible()
    expect(page.get_by_text("otel-coverage report --split")).to_be_visible()
    expect(page.get_by_role("cell", name="checkout")).to_be_visible()
    assert complaints  # the browser says what it refused


def test_the_summary_shows_where_no_script_may_run(reported: Reported, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((reported.report.out / "index.html").as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text("Coverage of abc")
    expect(page.get_by_text("does not let its script run")).to_be_visible()
    expect(page.get_by_role("cell", name="checkout")).to_be_visible()
    context.close()


def test_the_page_works_where_nothing_may_be_stored(show: Show, reported: Reported, tmp_path: Path) -> None:
    inner = reported.report.out / "index.html"
    outer = tmp_path / "outer.html"
    outer.write_text(f'<iframe sandbox="allow-scripts" src="{inner.as_uri()}" width="1200" height="800"></iframe>')
    page = show()
    page.goto(outer.as_uri())
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Dark colours").click()
    frame.get_by_role("link", name="Profiles", exact=True).click()
    frame.get_by_role("button", name="Profile", exact=True).click()
    expect(frame.locator("[role=cell] a.name").first).to_have_text("browse")
