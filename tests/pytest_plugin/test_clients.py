"""Which requests of a suite name the profile of their test: those to the application, of every client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pytest_plugin.echo import Echo, echoing
from tests.pytest_plugin.project import Project
from tests.support.browser import executable

SUITE = """
import asyncio, os
import pytest

APP, OTHER = os.environ["APP"], os.environ["OTHER"]

def test_urllib():
    from urllib.request import Request, urlopen
    urlopen(APP + "/urllib?secret=1").read()
    urlopen(Request(APP + "/to?" + OTHER + "/urllib", data=b"x")).read()

def test_urllib3():
    import urllib3
    pool = urllib3.PoolManager()
    pool.request("POST", APP + "/urllib3", body=b"x")
    pool.request("GET", APP + "/to?" + OTHER + "/urllib3")
    pool.request("GET", OTHER + "/to?" + APP + "/urllib3-back")

def test_requests():
    import requests
    with requests.Session() as session:
        session.post(APP + "/requests", json={})
        answer = session.get(APP + "/to?" + OTHER + "/requests")
        session.get(OTHER + "/to?" + APP + "/requests-back", headers={"baggage": "own=1"})
    assert "baggage" not in answer.history[0].request.headers

def test_httpx():
    import httpx
    with httpx.Client(follow_redirects=True) as client:
        answer = client.get(APP + "/httpx")
        assert "baggage" not in answer.request.headers
        client.get(APP + "/to?" + OTHER + "/httpx")
        client.get(OTHER + "/to?" + APP + "/httpx-back", headers={"baggage": "own=1"})

def test_httpx_async():
    import httpx
    async def play():
        async with httpx.AsyncClient(follow_redirects=True) as client:
            await asyncio.gather(client.get(APP + "/httpx-async"), client.get(APP + "/httpx-async"))
            await client.get(APP + "/to?" + OTHER + "/httpx-async")
    asyncio.run(play())

def test_by_hand(playback_profile):
    import requests
    requests.get(APP + "/by-hand", headers=playback_profile.headers)
    requests.get(APP + "/by-header", headers={"X-Profile-Trace": "mine"})

@pytest.mark.playback_profile(None)
def test_none(playback_profile):
    import requests
    assert playback_profile == ("", "", {})
    requests.get(APP + "/none")

def test_nobody_listens():
    import requests
    with pytest.raises(requests.ConnectionError):
        requests.get("http://127.0.0.1:1/")
"""

CLIENTS = ("urllib", "urllib3", "requests", "httpx", "httpx_async")

AIOHTTP_SUITE = """
import asyncio, os

APP, OTHER = os.environ["APP"], os.environ["OTHER"]

def test_aiohttp():
    import aiohttp
    async def play():
        async with aiohttp.ClientSession() as session:
            for url in (APP + "/aiohttp", APP + "/to?" + OTHER + "/aiohttp", OTHER + "/to?" + APP + "/aiohttp-back"):
                async with session.get(url) as answer:
                    assert answer.status == 200
    asyncio.run(play())
"""

BROWSER_SUITE = """
import asyncio, os

APP, OTHER = os.environ["APP"], os.environ["OTHER"]
CHROMIUM = dict(executable_path=os.environ["CHROMIUM"], args=["--no-sandbox"], timeout=120_000)

def test_pages():
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**CHROMIUM)
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(APP + "/to?" + APP + "/page")
        page.wait_for_selector("#done")
        page.goto(APP + "/to?" + OTHER + "/to?" + APP + "/back")
        page.wait_for_selector("#done")
        with page.expect_popup() as popup:
            page.evaluate("window.open('/popup')")
        popup.value.wait_for_selector("#done")
        browser.close()

def test_later():
    from playwright.async_api import async_playwright
    async def play():
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(**CHROMIUM)
            page = await browser.new_page()
            page.set_default_timeout(120_000)
            await page.goto(APP + "/to?" + APP + "/later")
            await page.wait_for_selector("#done")
            await browser.close()
    asyncio.run(play())
"""

PAGE = """<link rel="icon" href="data:,"><script>
fetch("/api", {method: "POST", body: "x"}).then(() => fetch("%s/analytics", {mode: "no-cors"})).then(() => {
    document.body.innerHTML = "<p id=done>done</p>";
});
</script>"""


@pytest.fixture
def app() -> Iterator[Echo]:
    with echoing() as server:
        yield server


@pytest.fixture
def other() -> Iterator[Echo]:
    with echoing() as server:
        yield server


def environment(app: Echo, other: Echo, **more: str) -> dict[str, str]:
    secret = {"OTEL_COVERAGE_TOKEN": "correct horse"}
    return {"APP": app.url, "OTHER": other.url, "OTEL_TRACES_EXPORTER": "none", **secret, **more}


def test_requests_of_every_client_name_their_test_to_the_application_and_to_nobody_else(
    project: Project, app: Echo, other: Echo
) -> None:
    project.write("test_all.py", SUITE)
    target = app.url.removeprefix("http://")
    done = project.run("--playback", "--playback-target", target, "--playback-run-id", "r1", **environment(app, other))
    assert done.returncode == 0, done.stdout
    profiles = app.profiles()
    redirects = profiles.pop("/to")
    assert profiles == {
        "/urllib": {"test_all.py-test_urllib"},
        "/urllib3": {"test_all.py-test_urllib3"},
        "/urllib3-back": {"test_all.py-test_urllib3"},
        "/requests": {"test_all.py-test_requests"},
        "/requests-back": {"test_all.py-test_requests"},
        "/httpx": {"test_all.py-test_httpx"},
        "/httpx-back": {"test_all.py-test_httpx"},
        "/httpx-async": {"test_all.py-test_httpx_async"},
        "/by-hand": {"test_all.py-test_by_hand"},
        "/by-header": {None},
        "/none": {None},
    }
    assert redirects == {f"test_all.py-test_{each}" for each in CLIENTS}
    for path, _, headers in app.requests:
        if path not in ("/none", "/by-header"):
            assert "playback.run_id=r1" in headers["baggage"]
            assert "playback.sig=" in headers["baggage"]
    (back,) = [headers for path, _, headers in app.requests if path == "/httpx-back"]
    assert back["baggage"].endswith(",own=1")
    parents = [headers["traceparent"] for _, _, headers in app.requests if "traceparent" in headers]
    assert len(set(parents)) == len(parents) > 10
    assert {path for path, _, _ in other.requests} == {"/to", *(f"/{each.replace('_', '-')}" for each in CLIENTS)}
    for _, _, headers in other.requests:
        assert "traceparent" not in headers
        assert "playback" not in headers.get("baggage", "")
    assert [line for line in done.stdout.splitlines() if line.startswith("run ")] == ["run r1: 6 profiles, 14 requests"]


def test_a_suite_without_the_option_names_nothing(project: Project, app: Echo, other: Echo) -> None:
    project.write("test_all.py", SUITE.replace("test_none", "no_test"))
    done = project.run(**environment(app, other))
    assert done.returncode == 0, done.stdout
    assert {profile for _, profile, _ in app.requests} == {None}
    assert "playback" not in done.stdout.partition("test session starts")[2].replace("playback_profile", "")


def test_chromium_names_the_test_to_the_application_at_each_redirect_and_to_nobody_else(
    project: Project, app: Echo, other: Echo
) -> None:
    app.page = PAGE % other.url
    project.write("test_pages.py", BROWSER_SUITE)
    variables = environment(app, other, CHROMIUM=executable())
    done = project.run("--playback", "--playback-target", app.url, "--playback-run-id", "r1", **variables)
    assert done.returncode == 0, done.stdout
    assert app.profiles() == {
        "/to": {"test_pages.py-test_pages", "test_pages.py-test_later"},
        "/page": {"test_pages.py-test_pages"},
        "/api": {"test_pages.py-test_pages", "test_pages.py-test_later"},
        "/back": {"test_pages.py-test_pages"},
        "/popup": {"test_pages.py-test_pages"},
        "/later": {"test_pages.py-test_later"},
    }
    assert {path for path, _, _ in other.requests} == {"/to", "/analytics"}
    for _, _, headers in other.requests:
        assert not {"baggage", "traceparent"} & headers.keys()
    parents = [headers["traceparent"] for _, _, headers in app.requests]
    assert len(set(parents)) == len(parents)
    assert [line for line in done.stdout.splitlines() if line.startswith("run ")] == [
        f"run r1: 2 profiles, {len(parents)} requests"
    ]


def test_a_target_that_is_not_one_ends_the_session_before_it_begins(project: Project, tmp_path: Path) -> None:
    project.write("test_all.py", "def test(): pass\n")
    done = project.run("--playback", "--playback-target", "*.example.org")
    assert done.returncode == 4
    assert "otel-coverage: --playback-target '*.example.org': expected a host" in done.stderr


def test_where_opentelemetry_traces_the_clients_too_requests_have_one_parent(
    project: Project, app: Echo, other: Echo
) -> None:
    project.write(
        "conftest.py",
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor\n"
        "from opentelemetry.instrumentation.requests import RequestsInstrumentor\n"
        "trace.set_tracer_provider(TracerProvider())\n"
        "HTTPXClientInstrumentor().instrument()\n"
        "RequestsInstrumentor().instrument()\n",
    )
    project.write("test_all.py", SUITE)
    done = project.run("--playback", "--playback-target", app.url, "--playback-run-id", "r1", **environment(app, other))
    assert done.returncode == 0, done.stdout
    for path, profile, headers in app.requests:
        if path not in ("/none", "/by-header", "/by-hand"):
            assert profile is not None
            assert headers["traceparent"].count("-") == 3
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("run ")]
    assert said == "run r1: 6 profiles, 11 requests"  # those of requests are part of another trace


def test_beside_a_traced_application_other_servers_of_this_machine_are_no_part_of_a_profile(
    project: Project, app: Echo, other: Echo
) -> None:
    other.traced = False
    project.write(
        "test_it.py",
        "import os\nfrom urllib.request import urlopen\n\n"
        "def test_both():\n    urlopen(os.environ['APP']).read()\n    urlopen(os.environ['OTHER']).read()\n\n"
        "def test_other():\n    urlopen(os.environ['OTHER']).read()\n",
    )
    strict = ("--playback", "--playback-strict", "--playback-run-id", "r1")
    done = project.run(*strict, **environment(app, other))
    assert done.returncode == 0, done.stdout
    assert "run r1: 1 profile, 1 request\n" in done.stdout
    hosts = [each.url.removeprefix("http://") for each in (app, other)]
    named = project.run(*strict, *(f"--playback-target={each}" for each in hosts), **environment(app, other))
    assert named.returncode == 1
    assert "run r1: 2 profiles, 3 requests\n" in named.stdout
    assert f"nothing says that an application ({hosts[1]}) traced test_it.py-test_other" in named.stdout


@pytest.mark.until(3, 14)
def test_so_do_those_of_aiohttp(project: Project, app: Echo, other: Echo) -> None:
    project.write("test_all.py", AIOHTTP_SUITE)
    done = project.run("--playback", "--playback-target", app.url, "--playback-run-id", "r1", **environment(app, other))
    assert done.returncode == 0, done.stdout
    named = {"test_all.py-test_aiohttp"}
    assert app.profiles() == {"/aiohttp": named, "/to": named, "/aiohttp-back": named}
    assert other.profiles() == {"/aiohttp": {None}, "/to": {None}}
    assert "run r1: 1 profile, 3 requests" in done.stdout
