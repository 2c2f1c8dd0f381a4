from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_coverage.reporting.page.bundle import bundle
from otel_coverage.reporting.page.page import Links, write_page
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import write_report
from otel_coverage.reporting.summary import notes
from otel_coverage.source import SourceTree
from otel_coverage.store import open_store, schema
from tests.reporting.conftest import Reported
from tests.reporting.project import PLACE, SPANS, fill, make_project
from tests.support.browser import absent, chromium
from tests.support.spans import TracedSpan, array

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Show = Callable[..., "Page"]

LONG = "f" * 500
LONG_PROFILE = f"long-{'x' * 100}"
CLASSES = 10_000
CANCEL = "shop.orders:Order.cancel@19"
HOSTILE = (
    "shop.</script><script>window.ran=1</script>:<img src=x onerror=window.ran=1>@1",
    'shop.quotes:say"it\'s"&amp;@2',
    "shop.rtl:\u202eesrever@3",
    f"shop.long:{LONG}@4",
    "shop.sheet:=cmd|'/c calc'!A0@5",
    "=shop.formula:run@6",
)


def is_remote(url: str) -> bool:
    return url.partition(":")[0] not in ("file", "blob", "data")


@pytest.fixture(scope="session")
def built() -> None:
    """The page has been built."""
    if bundle() is None:
        absent("the page is not built: python web/build.py")


@pytest.fixture(scope="package")
def browser(built: None) -> Iterator[Browser]:
    """Chromium, for these tests alone: while Playwright drives it, the thread has a running event loop."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def show(browser: Browser, reported: Reported) -> Iterator[Show]:
    """Opens a view of the project's report from disk; at the end, nothing may have failed in the page."""
    contexts = []
    failures: list[str] = []

    def opened(view: str = "#/", *, file: Path | None = None, width: int = 1440, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda message: failures.append(message.text) if message.type == "error" else None)
        page.on(
            "request", lambda asked: failures.append(asked.url) if asked.url[:5] not in ("file:", "blob:") else None
        )
        page.goto(f"{(file or reported.report.out / 'index.html').as_uri()}{view}")
        page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=60_000)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert failures == []


@pytest.fixture(scope="session")
def hostile(built: None, store_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A report about functions and profiles whose names would break a careless page."""
    folder = tmp_path_factory.mktemp("hostile")
    tree = make_project(folder / "project")
    with open_store(f"chdb://{store_folder}?database=hostile_{os.getpid()}", create=True) as store:
        schema.apply(store)
        spans = TracedSpan(id="h1", trace="t9", profile="a</script><b>=1", functions=list(HOSTILE), second=5)
        long = SPANS[2].but(id="h2", profile=LONG_PROFILE, complete=False, reason="y" * 300)
        fill(store, tree, [*SPANS, spans, long])
        yield write_report(select_revision(store), tree, folder / "out").out / "index.html"


@pytest.fixture(scope="session")
def crowded(built: None, store_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page of a report about a module with ten thousand classes."""
    folder = tmp_path_factory.mktemp("crowded")
    (folder / "shop").mkdir()
    classes = (f"class C{number:05}:\n    def run(self): return 1\n" for number in range(CLASSES))
    (folder / "shop" / "all.py").write_text("".join(classes), encoding="utf-8")
    with open_store(f"chdb://{store_folder}?database=crowded_{os.getpid()}", create=True) as store:
        schema.apply(store)
        fill(store, SourceTree([str(folder)]), [TracedSpan(id="c1", trace="c1", functions=["shop.all:C00007.run@16"])])
        write_page(select_revision(store), bundle(), folder)
        yield folder / "index.html"


@pytest.fixture(scope="session")
def partly_played(built: None, store_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page of a revision at which one profile was played, of the two that were at the revision before."""
    folder = tmp_path_factory.mktemp("partly_played")
    with open_store(f"chdb://{store_folder}?database=partly_{os.getpid()}", create=True) as store:
        schema.apply(store)
        before = [span.but(id=f"b{span.id}", revision="before", run="r0", parent="") for span in SPANS]
        fill(store, make_project(folder / "project"), [*before, SPANS[2].but(second=90)])
        queries = select_revision(store, revision=SPANS[2].revision)
        write_page(queries, bundle(), folder, notes=notes(queries))
        yield folder / "index.html"


@pytest.fixture(scope="session")
def linked(built: None, store_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page of a night with routes and a job, with templates for traces and source."""
    folder = tmp_path_factory.mktemp("linked")
    tree = make_project(folder / "project")
    by_route = {"http.request.method": "POST", "http.route": "/orders", "coverage.entry_point": PLACE[0]}
    by_job = {"coverage.entry_name": "shop.jobs:mail", "coverage.entry_point": "shop.jobs:mail@1"}
    browse = SPANS[2].but(attributes=by_route)
    spans = [SPANS[0].but(attributes=by_route, duration=7_000_000), SPANS[1].but(attributes=by_job), browse]
    known = [["request", "POST", "/orders", "place", PLACE[0]], ["request", "POST", "/cancel", "cancel", CANCEL]]
    url_map = {"coverage.routes": array([json.dumps(each) for each in known], "otelcol")}
    routes = TracedSpan(id="u1", trace="t0", profile="_startup", run="", role="routes", attributes=url_map)
    with open_store(f"chdb://{store_folder}?database=linked_{os.getpid()}", create=True) as store:
        schema.apply(store)
        fill(store, tree, [*spans, routes])
        links = Links(trace="https://traces.example/{trace}", source="https://forge.example/{revision}/{file}#L{line}")
        write_page(select_revision(store), bundle(), folder, links=links)
        yield folder / "index.html"
