"""Applications of other kinds that tests call in their own process, by httpx and by Starlette's client."""

from __future__ import annotations

from otel_coverage.collecting import Collector
from otel_coverage.store import Store
from tests.pytest_plugin.project import Project
from tests.support.commands import wait_until_sent

CODE = """
import flask
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

pages = flask.Flask(__name__)

@pages.get("/")
def page():
    return said("page")

api = FastAPI()

@api.get("/")
async def item():
    return said("item")

async def text(request):
    return PlainTextResponse(said("text"))

texts = Starlette(routes=[Route("/", text)])

def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"plain"]

def said(what):
    return what
"""

SUITE = """
import asyncio
import httpx
import code_under_test as code

def test_flask():
    with httpx.Client(transport=httpx.WSGITransport(code.pages), base_url="http://shop.example") as client:
        assert client.get("/").text == "page"

def test_fastapi():
    async def play():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(code.api), base_url="http://shop.example") as client:
            return await client.get("/")
    assert asyncio.run(play()).json() == "item"

def test_starlette():
    from starlette.testclient import TestClient
    with TestClient(code.texts) as client:
        assert client.get("/").text == "text"

def test_plain():
    with httpx.Client(transport=httpx.WSGITransport(code.plain), base_url="http://shop.example") as client:
        assert client.get("/").text == "plain"
"""


def test_frameworks_are_recorded_without_a_server_and_what_cannot_be_is_named(
    project: Project, collector: Collector, store: Store
) -> None:
    project.write("code_under_test.py", CODE)
    project.write("test_all.py", SUITE)
    done = project.run(
        *("--playback", "--playback-run-id", "r1"),
        path=str(project.folder),
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{collector.endpoints['OTLP/gRPC']}",
        OTEL_COVERAGE_SOURCE="code_under_test",
        OTEL_RESOURCE_ATTRIBUTES="vcs.ref.head.revision=abc",
    )
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    wait_until_sent()
    assert collector.receiver.wait() == 0
    rows = store.query("SELECT profile, groupArray(qualname) FROM coverage_functions GROUP BY profile").rows
    assert {profile: set(names) for profile, names in rows} == {
        "test_all.py-test_flask": {"page", "said"},
        "test_all.py-test_fastapi": {"item", "said"},
        "test_all.py-test_starlette": {"text", "said"},
    }
    assert store.query("SELECT outcome, complete FROM profile_runs").rows == [("passed", True)] * 3
    assert "the application in this process (code_under_test.plain) is not recorded" in done.stdout
