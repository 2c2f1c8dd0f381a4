"""Web servers and workers that stop, or replace their processes, while the collector is away."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import pytest

from tests.faults.comparison import compare
from tests.faults.deployment import Deployment, wait_until
from tests.support.ports import free_port

LONGER = 2.0  # seconds that stopping may take longer when the collector is away
SLACK = 2.0  # seconds, for a machine that does much else
PATIENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "60"}  # seconds: who waited for an export, took far longer

WEB = {
    "gunicorn sync": "gunicorn --bind 127.0.0.1:{port} --no-control-socket -k sync desk.web:create_app()",
    "gunicorn gthread": "gunicorn --bind 127.0.0.1:{port} --no-control-socket --threads 4 desk.web:create_app()",
    "gunicorn gevent": "gunicorn --bind 127.0.0.1:{port} --no-control-socket -k gevent desk.web:create_app()",
    "waitress": "waitress-serve --listen=127.0.0.1:{port} --call desk.web:create_app",
    "development server": "flask --app desk.web run --port {port}",
}


@contextmanager
def black_hole() -> Iterator[str]:
    """The address of a socket that accepts connections and never answers."""
    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1000)
        kept = []

        def accept() -> None:
            while True:
                try:
                    kept.append(listening.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(2)
        for connection in kept:
            connection.close()


def _requests(count: int) -> list[dict[str, str]]:
    return [
        {"method": "GET", "path": f"/take/{number % 24}-{(number + 5) % 24}/stopping-{number}", "profile": "p"}
        for number in range(count)
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("server", WEB)
@pytest.mark.parametrize(
    ("away", "signal_"),
    [("nobody listens", signal.SIGINT), ("black hole", signal.SIGTERM)],
    ids=["nobody-listens-SIGINT", "black-hole-SIGTERM"],
)
def test_a_web_server_stops_at_once_and_loses_nothing(
    folder: Path, server: str, signal_: signal.Signals, away: str
) -> None:
    with Deployment(folder, PATIENT) as deployment, black_hole() as silent:
        deployment.start_collector()
        took = []
        for run, endpoint in (
            ("healthy", f"http://{deployment.address}"),
            ("away", silent if away == "black hole" else f"http://127.0.0.1:{free_port()}"),
        ):
            deployment.set_endpoint(endpoint)
            web = deployment.start_web(WEB[server])
            deployment.send(run, [{**each, "path": f"{each['path']}-{run}"} for each in _requests(20)]).wait()
            took.append(deployment.stop_timed(web, signal_))
        deployment.settle()
        comparison = compare(deployment, ["healthy", "away"])
        print(f"{server}, {away}: {took[0]:.2f} s and {took[1]:.2f} s; {comparison.summary()}")
        comparison.check()
        assert not comparison.lost
        assert took[1] < took[0] + LONGER + SLACK


@pytest.mark.timeout(600)
@pytest.mark.parametrize("away", ["nobody listens", "black hole"])
def test_a_worker_performs_its_jobs_and_stops_at_once(folder: Path, away: str) -> None:
    with Deployment(folder, PATIENT) as deployment, black_hole() as silent:
        deployment.start_collector()
        took, finished = [], []
        for run, endpoint in (
            ("healthy", f"http://{deployment.address}"),
            ("away", silent if away == "black hole" else f"http://127.0.0.1:{free_port()}"),
        ):
            deployment.start_application(endpoint=endpoint)
            before, began = len(deployment.jobs()), time.monotonic()
            requests = [
                {"method": "POST", "path": f"/enqueue/{number}/{run}-{number}", "profile": "p"} for number in range(4)
            ]
            deployment.send(run, requests).wait()
            wait_until(lambda expected=before + 8: len(deployment.jobs()) == expected)  # type: ignore[misc]
            finished.append(time.monotonic() - began)
            assert deployment.worker is not None
            took.append(deployment.stop_timed(deployment.worker))
            deployment.stop_application()
        deployment.settle()
        comparison = compare(deployment, ["healthy", "away"])
        print(f"{away}: jobs {finished[0]:.2f} and {finished[1]:.2f} s, stopping {took[0]:.2f} and {took[1]:.2f} s")
        print(comparison.summary())
        comparison.check()
        assert not comparison.lost
        assert took[1] < took[0] + LONGER + SLACK
        assert finished[1] < finished[0] + LONGER + SLACK


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_a_web_server_replaces_its_workers_while_the_collector_is_away(folder: Path, kind: str) -> None:
    with Deployment(folder, PATIENT) as deployment, black_hole() as silent:
        deployment.start_collector()
        deployment.start_application("-k", kind, "--max-requests", "5", worker=False, endpoint=silent)
        deployment.send("recycled", _requests(40), threads=1, pause=0.05).wait()
        sent = {line["id"]: line["at"] for line in deployment.requests() if line["event"] == "sent"}
        slowest = max(line["at"] - sent[line["id"]] for line in deployment.requests() if line["event"] != "sent")
        assert deployment.web is not None
        took = deployment.stop_timed(deployment.web)
        deployment.settle()
        comparison = compare(deployment, ["recycled"])
        print(f"{kind}: slowest request {slowest:.2f} s, stopping {took:.2f} s; {comparison.summary()}")
        comparison.check()
        assert len(comparison.works) == 40
        assert not comparison.lost
        assert slowest < 4 + LONGER  # a new worker imports the application
        assert took < 3 + LONGER
