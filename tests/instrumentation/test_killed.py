"""Requests whose process is killed outright, before or after their span has started."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from otel_coverage.store import open_store
from tests.collecting.test_while_collecting import collecting
from tests.support.collector import Collector
from tests.support.commands import call, gunicorn, wait_until

APPLICATION = """
import os
import time
from pathlib import Path

from flask import Flask


class Middleware:
    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/outside":  # no span of the request has started
            hang()
        return self.application(environ, start_response)


def hang():
    Path(os.environ["HANGING"]).write_text(str(os.getpid()))
    time.sleep(600)


app = Flask(__name__)
app.wsgi_app = Middleware(app.wsgi_app)
app.add_url_rule("/inside", view_func=hang)
"""

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER_ALONE = {"X-Profile-Trace": "checkout"}
IN_A_TRACE = {**HEADER_ALONE, "traceparent": f"00-{TRACE}-{PARENT}-01"}


@contextmanager
def killed(folder: Path, endpoint: str, path: str, headers: Mapping[str, str]) -> Iterator[int]:
    """The id of a process that was killed in the middle of a request; its server is running meanwhile."""
    (folder / "hanging.py").write_text(APPLICATION)
    hanging = folder / "hanging"
    with gunicorn(
        "hanging:app",
        PYTHONPATH=str(folder),
        HANGING=str(hanging),
        OTEL_COVERAGE_ENABLED="1",
        OTEL_COVERAGE_SOURCE=str(folder / "hanging.py"),
        OTEL_COVERAGE_RUN_ID="night-1",
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        OTEL_SERVICE_NAME="shop",
        OTEL_COVERAGE_SPOOL=str(folder / "spool"),
        OTEL_BSP_SCHEDULE_DELAY="60000",  # no span is appended before, which would start the sender
    ) as client:

        def request() -> None:
            with suppress(httpx.TransportError):
                client.get(path, headers=dict(headers))

        requesting = threading.Thread(target=request)
        requesting.start()
        wait_until(lambda: hanging.exists() and hanging.read_text())
        wait_until((folder / "spool" / "sender.json").exists)  # the request has had it started
        pid = int(hanging.read_text())
        os.kill(pid, signal.SIGKILL)
        requesting.join()
        yield pid


@pytest.mark.parametrize("path", ["/outside", "/inside"])
@pytest.mark.parametrize("headers", [HEADER_ALONE, IN_A_TRACE], ids=["header alone", "in a trace"])
def test_a_request_that_was_killed_is_known_to_have_begun_once(
    path: str, headers: Mapping[str, str], collector: Collector, tmp_path: Path
) -> None:
    with killed(tmp_path, collector.endpoint, path, headers) as pid:
        (begun,) = collector.wait_for_roles("begun")
    assert begun.name == f"GET {path}"
    assert begun.attributes["playback.profile"] == "checkout"
    assert begun.attributes["playback.run_id"] == "night-1"
    assert begun.attributes["coverage.begun_role"] == "server"
    assert begun.attributes["process.pid"] == pid
    assert ("coverage.begun_span" in begun.attributes) == (path == "/inside")
    assert begun.resource["service.name"] == "shop"
    assert begun.trace_id != "0" * 32
    if headers is IN_A_TRACE:
        assert (begun.trace_id, begun.parent_id) == (TRACE, PARENT)
    assert [span for span in collector.spans if span.role == "begun"] == [begun]


def test_verify_names_a_request_that_was_killed_before_its_trace_began(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    with collecting(dsn) as collector:

        def arrived() -> bool:
            with open_store(dsn, read_only=True) as store:
                return bool(store.query("SELECT count() FROM coverage_spans WHERE role = 'begun'").rows[0][0])

        with killed(tmp_path, f"http://{collector.endpoints['OTLP/gRPC']}", "/outside", HEADER_ALONE):
            wait_until(arrived)
        collector.end()
    verified = call([sys.executable, "-m", "otel_coverage", "verify", "--run", "night-1", "--store", dsn])
    assert verified.returncode == 1, verified.stderr
    (missing,) = json.loads(verified.stdout)["missing"]
    assert (missing["profile"], missing["kind"], missing["name"]) == ("checkout", "request", "GET /outside")
    assert (missing["reason"], missing["service"]) == ("killed", "shop")
