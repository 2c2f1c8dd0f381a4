"""A visit to the notebook in Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VISIT = "visit"
"""The profile that the browser's own requests name."""

NAME, PASSWORD, TITLE = "ada-lovelace", "correct horse 7", "On tables and cards"


def visit(
    browser: Browser, url: str, attachment: Path, har: Path | None = None, *, name: str = NAME, profile: str = VISIT
) -> None:
    """Register, log in, write a note with an attachment, change it, have its words counted, log out.

    Args:
        browser: the browser.
        url: of the notebook, or of a proxy in front of it.
        attachment: the file.
        har: where Playwright records what the browser does.
        name: of the user.
        profile: that the browser's requests name.
    """
    recorded: dict[str, Any] = {} if har is None else {"record_har_path": har, "record_har_content": "embed"}
    context = browser.new_context(extra_http_headers={"X-Profile-Trace": profile}, **recorded)
    context.set_default_timeout(120_000)  # milliseconds; a busy machine is no fault
    page = context.new_page()

    def fill(button: str) -> None:
        page.fill("#name", name)
        page.fill("#password", PASSWORD)
        page.click(f"#{button}")

    page.goto(f"{url}/register")
    fill("register")
    page.wait_for_url(f"{url}/login?*")
    fill("login")
    page.wait_for_url(f"{url}/people/{name}")
    _write(page, url, attachment)
    context.close()


def go_on(browser: Browser, entrance: str, url: str, attachment: Path) -> None:
    """The same from the page after the login on, in a session that has begun; ``entrance`` leads to it."""
    context = browser.new_context()
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.goto(entrance)
    page.wait_for_url(f"{url}/people/*")
    _write(page, url, attachment)
    context.close()


def _write(page: Page, url: str, attachment: Path) -> None:
    page.fill("#title", TITLE)
    page.set_input_files("#attachment", attachment)
    page.click("#add")
    page.wait_for_selector("#size")
    number = page.url.rpartition("/")[2]
    changed = page.evaluate(f"send('PUT', '/api/notes/{number}', {{title: 'A b c'}})")
    page.evaluate(f"fetch('/api/notes/{number}/{changed['revision']}').then(answer => answer.json())")
    page.evaluate(f"send('POST', '/api/notes/{number}/count', {{}})")
    page.evaluate("""() => {
        const form = document.createElement("form");
        form.method = "post"; form.action = "/logout";
        form.innerHTML = `<input name=csrf_token value="${document.querySelector("meta[name=csrf-token]").content}">`;
        document.body.append(form); form.submit();
    }""")
    page.wait_for_url(f"{url}/login")
