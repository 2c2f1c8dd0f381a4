"""What a page of Datasette costs, traced: ``python -m benchmarks.recorder.datasette_page [ENGINE]``.

An ASGI application that nobody here wrote: the page of a table of 200 rows, its queries in threads. It has to be
installed (``pip install datasette httpx``). CPU time of a request, the least of ten runs of ten requests, in turns.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.sdk.trace import TracerProvider

import otel_coverage
from otel_coverage.settings import Settings

RUNS, WARM_UP, REQUESTS = 10, 2, 10
TRACED = {"X-Profile-Trace": "page"}


async def measure(engine: str, folder: Path) -> dict[str, float]:
    """Seconds of a request: to the application alone, through the middleware, and traced."""
    datasette: Any = importlib.import_module("datasette.app")
    source = str(Path(datasette.__file__).parent)
    served = datasette.Datasette([str(make_database(folder))])
    await served.invoke_startup()
    application = served.app()
    provider = TracerProvider()
    settings = Settings.load(enabled=True, source=[source], engine=engine)
    otel_coverage.instrument(None, tracer_provider=provider, enabled=True, source=[source], engine=engine)
    recorded = otel_coverage.AsgiCoverageMiddleware(application, settings, tracer_provider=provider)
    clients = {
        "plain": client_of(application, {}),
        "untraced": client_of(recorded, {}),
        "traced": client_of(recorded, TRACED),
    }
    seconds: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(WARM_UP + RUNS):
        for name, client in clients.items():
            began = time.process_time()
            for _ in range(REQUESTS):
                response = await client.get("/shop/goods")
                assert response.status_code == 200, response.text
                assert ("X-Profile-Traced" in response.headers) is (name == "traced")
            seconds[name].append((time.process_time() - began) / REQUESTS)
    return {name: min(runs[WARM_UP:]) for name, runs in seconds.items()}


def make_database(folder: Path) -> Path:
    """A database with one table, in a file."""
    path = folder / "shop.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE goods (id INTEGER PRIMARY KEY, name TEXT, price INTEGER)")
    connection.executemany(
        "INSERT INTO goods (name, price) VALUES (?, ?)", [(f"fruit {number}", number) for number in range(200)]
    )
    connection.commit()
    connection.close()
    return path


def client_of(application: Any, headers: dict[str, str]) -> httpx.AsyncClient:
    """A client that calls the application in this process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://test", headers=headers)


def main(engine: str = "auto") -> None:
    """Measure, and print each with its ratio to the application alone."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(engine, Path(folder)))
    print(f"engine {engine}, CPython {sys.version.split()[0]}, CPU time of a request:")
    for name, seconds in found.items():
        print(f"  {name:10} {seconds * 1e3:6.1f} ms  {seconds / found['plain']:5.2f}", flush=True)
    os._exit(0)  # Datasette's threads wait for queries for as long as the process lives


if __name__ == "__main__":
    main(*sys.argv[1:])
