"""A suite that plays against a server: rq-dashboard, unchanged from PyPI, below ``otel-coverage run``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otel_coverage.store import Store, open_store
from tests.collecting.test_while_collecting import collecting
from tests.pytest_plugin.project import Project
from tests.support.browser import executable
from tests.support.servers import serving
from tests.support.traced import DATA

SUITE = """
import asyncio, os
import pytest

URL = os.environ["URL"]
CHROMIUM = dict(executable_path=os.environ["CHROMIUM"], args=["--no-sandbox"], timeout=120_000)

@pytest.mark.parametrize("path", ["/0/view/workers", "/0/data/workers.json"])
def test_workers(path):
    import requests
    assert requests.get(URL + path).ok

class TestData:
    def test_queues(self):
        from urllib.request import urlopen
        assert b"queues" in urlopen(URL + "/0/data/queues.json").read()

    def test_jobs(self):
        import httpx
        async def play():
            async with httpx.AsyncClient() as client:
                return await client.get(URL + "/0/data/jobs/default/queued/2/asc/1.json")
        assert asyncio.run(play()).status_code == 200

def test_page():
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**CHROMIUM)
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(URL + "/")
        page.wait_for_load_state("networkidle")
        browser.close()

def test_broken():
    import requests
    assert requests.get(URL + "/0/data/job/no-such-job.json").status_code == 200
"""

PROFILES = {
    "test_all.py-test_workers-0-view-workers": {"workers_overview"},
    "test_all.py-test_workers-0-data-workers.json": {"list_workers"},
    "test_all.py-testdata-test_queues": {"list_queues"},
    "test_all.py-testdata-test_jobs": {"list_jobs"},
    "test_all.py-test_page": {"queues_overview", "list_queues"},
    "test_all.py-test_broken": {"job_info"},
}
FAILED = "test_all.py-test_broken"
VIEWS = set.union(*PROFILES.values())


@contextmanager
def dashboard(redis_url: str, endpoint: str) -> Iterator[str]:
    with serving(
        f"gunicorn --bind 127.0.0.1:{{port}} --threads 8 --pythonpath {DATA / 'dashboard'} served_dashboard:app",
        OTEL_COVERAGE_ENABLED="1",
        OTEL_COVERAGE_SOURCE="rq_dashboard",
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        OTEL_RESOURCE_ATTRIBUTES="vcs.ref.head.revision=abc",
        OTEL_SERVICE_NAME="dashboard",
        REDIS_URL=redis_url,
    ) as client:
        yield str(client.base_url).rstrip("/")


def test_each_test_has_in_the_matrix_what_it_reached_in_one_process_and_by_xdists_workers(
    project: Project, tmp_path: Path, redis_url: str
) -> None:
    dsn = f"chdb://{tmp_path}/store"
    project.write("test_all.py", SUITE)
    with collecting(dsn) as collector:
        endpoint = f"http://{collector.endpoints['OTLP/gRPC']}"
        with dashboard(redis_url, endpoint) as url:
            for run, options in (("alone", ()), ("workers", ("-p", "xdist", "-n", "2"))):
                done = project.run(
                    *("--playback", "--playback-run-id", run, "--playback-store", dsn, "--playback-wait", "100"),
                    *("--playback-target", url, *options),
                    OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
                    URL=url,
                    CHROMIUM=executable(),
                )
                assert "1 failed, 5 passed" in done.stdout, done.stdout + done.stderr
                assert "all of it arrived in the store" in done.stdout, done.stdout
                assert f'next: otel-coverage verify --run {run} --store "$STORE"' in done.stdout
        with open_store(dsn, read_only=True) as store:
            alone, workers = (functions(store, run) for run in ("alone", "workers"))
            assert alone == workers
            assert alone.keys() == PROFILES.keys()
            for profile, expected in PROFILES.items():
                assert {name for name in alone[profile] if name in VIEWS} == expected, profile
            rows = store.query("SELECT profile, run, outcome, complete FROM profile_runs").rows
            assert {tuple(row) for row in rows} == {
                (profile, run, "failed" if profile == FAILED else "passed", True)
                for profile in PROFILES
                for run in ("alone", "workers")
            }

        collector.end()


def functions(store: Store, run: str) -> dict[str, set[str]]:
    rows = store.query(
        "SELECT profile, groupArray(qualname) FROM coverage_functions WHERE run = {run:String} GROUP BY profile",
        {"run": run},
    ).rows
    # a browser asks for the icon when it likes to
    return {profile: set(names) - {"favicon"} for profile, names in rows}
