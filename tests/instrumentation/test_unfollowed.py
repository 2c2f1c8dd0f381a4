"""Servers that nothing follows: `run` says so when one starts, `doctor` when it is shown the application."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.commands import RUN, call
from tests.support.traced import STORE_FRONT

PROGRAMS = {
    "aiohttp.web": """
import asyncio
from aiohttp import web

async def serve():
    for _ in range(2):
        runner = web.AppRunner(web.Application())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await runner.cleanup()

asyncio.run(serve())
""",
    "Tornado": """
import asyncio
import tornado.web

async def serve():
    for _ in range(2):
        tornado.web.Application([]).listen(0, "127.0.0.1").stop()

asyncio.run(serve())
""",
}
NO_WHEELS = {"aiohttp.web": (pytest.mark.until(3, 14),)}


@pytest.mark.row("server that nothing follows", "run")
@pytest.mark.parametrize("framework", [pytest.param(name, id=name, marks=NO_WHEELS.get(name, ())) for name in PROGRAMS])
def test_run_says_once_by_name_that_nothing_follows_a_server(framework: str) -> None:
    done = call(
        [*RUN, sys.executable, "-c", PROGRAMS[framework]],
        OTEL_COVERAGE_ENABLED="1",
        OTEL_COVERAGE_SOURCE=STORE_FRONT,
        OTEL_TRACES_EXPORTER="none",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"coverage: {framework} serves in this process: no request to it is recorded") == 1


@pytest.mark.row("server that nothing follows", "doctor")
@pytest.mark.until(3, 14)
def test_doctor_says_by_name_that_nothing_follows_an_application(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import aiohttp.web\n\napp = aiohttp.web.Application()\n")
    done = call(
        [*RUN, "otel-coverage", "doctor", "--app", "own:app"],
        PYTHONPATH=str(tmp_path),
        OTEL_COVERAGE_ENABLED="1",
        OTEL_COVERAGE_SOURCE=STORE_FRONT,
        OTEL_TRACES_EXPORTER="none",
    )
    assert "problem: it is an application of aiohttp.web: no request to it is recorded" in done.stdout


@pytest.mark.row("doctor", "ASGI application")
def test_doctor_says_how_an_asgi_application_is_instrumented() -> None:
    done = call(
        [*RUN, "otel-coverage", "doctor", "--app", "store_front.asgi.with_fastapi:app"],
        OTEL_COVERAGE_ENABLED="1",
        OTEL_COVERAGE_SOURCE=STORE_FRONT,
        OTEL_TRACES_EXPORTER="none",
    )
    assert "OpenTelemetry's ASGI instrumentation makes its SERVER spans" in done.stdout
    assert "its traced requests are recorded" in done.stdout
