"""Code that is deployed below running servers and workers: it is filed under its own revision, or marked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from redis import Redis
from rq import Queue

import otel_coverage
from otel_coverage.settings import Settings
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.playback import Playback
from tests.support.collector import PATIENCE, Collector, ReceivedSpan
from tests.support.commands import NO_KEPT, PLAIN, RUN, clean_environment, wait_for_answer
from tests.support.ports import free_port
from tests.support.traced import Spans

APPLICATION = """
from flask import Flask
app = Flask(__name__)

@app.get("/")
def VERSION():
    import prices
    return prices.price()

def job():
    import prices
    return prices.price()
"""
REVISION = "vcs.ref.head.revision"
TRACED = {"X-Profile-Trace": "checkout"}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def deploy(folder: Path, version: str) -> str:
    """Write and commit a version of the application. Returns its revision."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "shop.py").write_text(APPLICATION.replace("VERSION", version))
    (folder / "prices.py").write_text(f"def price():\n    return '{version}'\n")
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", version)
    return git(folder, "rev-parse", "HEAD")


@contextmanager
def process(
    command: Sequence[str], folder: Path, collector: Collector, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """A command that was started in a folder, which may be a symbolic link; in a process group of its own."""
    settings = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PWD": str(folder),
        **environment,
    }
    started = subprocess.Popen(
        list(command), cwd=folder, env=clean_environment(**settings), start_new_session=True, text=True
    )
    try:
        yield started
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@contextmanager
def serving(
    folder: Path, tmp_path: Path, collector: Collector, *options: str, run: Sequence[str] = RUN, **environment: str
) -> Iterator[tuple[httpx.Client, Callable[[], None]]]:
    """An HTTP client of a gunicorn, and what reloads it."""
    socket = tmp_path / "socket"
    command = [*run, "gunicorn", "--bind", f"unix:{socket}", "--no-control-socket", *options, "shop:app"]
    transport = httpx.HTTPTransport(uds=str(socket), limits=NO_KEPT)
    with (
        process(command, folder, collector, **environment) as master,
        httpx.Client(transport=transport, base_url="http://test", timeout=PATIENCE) as client,
    ):
        wait_for_answer(client, master)
        yield client, lambda: os.kill(master.pid, signal.SIGHUP)


def play_until(client: httpx.Client, version: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while client.get("/", headers=TRACED).text != version:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def found(spans: Sequence[ReceivedSpan], function: str) -> set[str]:
    """The revisions of the complete entry spans in which the function ran.

    Engine ``coverage`` marks those of a server that has not been reloaded yet: it reads names from files.
    """
    entries = [span for span in spans if span.role == "server" and f"shop:{function}" in span.functions]
    complete = [span for span in entries if span.attributes["coverage.complete"]]
    assert sys.version_info < (3, 12) or complete == entries
    return {span.resource[REVISION] for span in complete}


@pytest.mark.row("code that changes", "SIGHUP")
@pytest.mark.parametrize(
    ("run", "worker"),
    [
        pytest.param(RUN, "sync", id="otel-coverage run"),
        pytest.param(PLAIN, "sync", id="opentelemetry-instrument"),
        pytest.param(PLAIN, "gevent", id="opentelemetry-instrument and gevent", marks=pytest.mark.since(3, 12)),
    ],
)
def test_workers_of_gunicorn_that_a_hangup_starts_file_what_they_run_under_the_new_commit(
    run: Sequence[str], worker: str, tmp_path: Path, collector: Collector
) -> None:
    source = tmp_path / "source"
    first = deploy(source, "first")
    options = ("--worker-class", worker)
    settings = {"OTEL_COVERAGE_SOURCE": str(source)}
    with serving(source, tmp_path, collector, *options, run=run, **settings) as (client, reload):
        assert client.get("/", headers=TRACED).text == "first"
        collector.wait_for(lambda spans: bool(found(spans, "first")))  # engine coverage reads names from files
        second = deploy(source, "second")
        reload()
        play_until(client, "second")
        spans = collector.wait_for(lambda spans: bool(found(spans, "second")))
    assert found(spans, "first") == {first}
    assert found(spans, "second") == {second}


@pytest.mark.row("code that changes", "switched link")
@pytest.mark.parametrize("named", ["", "current"], ids=["working directory", "by OTEL_COVERAGE_SOURCE"])
def test_a_release_that_a_symbolic_link_is_switched_to_is_recorded_after_a_hangup(
    named: str, tmp_path: Path, collector: Collector
) -> None:
    revisions = [deploy(tmp_path / "releases" / version, version) for version in ("first", "second")]
    current = tmp_path / "current"
    current.symlink_to("releases/first")
    environment = {"OTEL_COVERAGE_SOURCE": str(tmp_path / named)} if named else {}
    with serving(current, tmp_path, collector, **environment) as (client, reload):
        assert client.get("/", headers=TRACED).text == "first"
        collector.wait_for(lambda spans: bool(found(spans, "first")))  # engine coverage reads names from files
        (tmp_path / "next").symlink_to("releases/second")
        (tmp_path / "next").replace(current)
        reload()
        play_until(client, "second")
        spans = collector.wait_for(lambda spans: bool(found(spans, "second")))
    assert found(spans, "first") == {revisions[0]}
    assert found(spans, "second") == {revisions[1]}
    assert all(span.functions for span in spans if span.role == "server" and span.name == "GET /")


@pytest.mark.row("code that changes", "import of newer code")
def test_a_server_that_imports_newer_code_than_it_has_loaded_marks_its_entries(
    tmp_path: Path, collector: Collector
) -> None:
    source = tmp_path / "source"
    first = deploy(source, "first")
    with serving(source, tmp_path, collector) as (client, _):
        deploy(source, "second")
        assert client.get("/", headers=TRACED).text == "second"  # the view of the first calls what the second brought
        span = entry_span(collector)
    assert span.resource[REVISION] == first
    assert span.attributes["coverage.complete"] is False
    assert span.attributes["coverage.incomplete_reason"] == "mixed_revisions"
    assert "prices.py" in span.attributes["coverage.incomplete_detail"]
    assert "prices:price" in span.functions


@pytest.mark.row("code that changes", "all of it loaded")
def test_a_server_whose_code_is_loaded_keeps_its_revision_whatever_is_deployed(
    tmp_path: Path, collector: Collector
) -> None:
    """Engine ``coverage`` reads names from the files, and says that they have changed."""
    source = tmp_path / "source"
    first = deploy(source, "first")
    with serving(source, tmp_path, collector) as (client, _):
        assert client.get("/").text == "first"
        deploy(source, "second")
        assert client.get("/", headers=TRACED).text == "first"
        span = entry_span(collector)
    assert span.resource[REVISION] == first
    if sys.version_info >= (3, 12):
        assert span.functions == {"shop:first", "prices:price"}
        assert span.attributes["coverage.complete"] is True
    else:
        assert span.attributes["coverage.incomplete_reason"] == "source_changed"


def entry_span(collector: Collector) -> ReceivedSpan:
    spans = collector.wait_for(lambda spans: any(span.role == "server" for span in spans))
    (span,) = [span for span in spans if span.role == "server"]
    return span


@pytest.mark.row("code that changes", "work horse")
@pytest.mark.parametrize("given", ["", "release-7"], ids=["from git", "given"])
def test_jobs_file_what_their_work_horses_import_under_the_new_commit(
    given: str, tmp_path: Path, collector: Collector, redis_url: str, spans: Spans
) -> None:
    """A revision that was given by configuration is not theirs any more: they say so."""
    source = tmp_path / "source"
    first = deploy(source, "first")
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[str(source)])
    queue = Queue(connection=Redis.from_url(redis_url))

    def perform(count: int) -> list[ReceivedSpan]:
        token = otel_context.attach(with_playback(Context(), Playback("checkout", "run-1"), Settings()))
        queue.enqueue("shop.job")
        otel_context.detach(token)
        arrived = collector.wait_for(lambda spans: [span.role for span in spans].count("consumer") == count)
        return [span for span in arrived if span.role == "consumer"]

    environment = {"OTEL_RESOURCE_ATTRIBUTES": f"{REVISION}={given}"} if given else {}
    path = os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])
    with process([*RUN, "rq", "worker", "--url", redis_url], source, collector, PYTHONPATH=path, **environment):
        (before,) = perform(1)
        second = deploy(source, "second")
        after = perform(2)[-1]
    assert (before.resource[REVISION], before.attributes["coverage.complete"]) == (given or first, True)
    assert after.functions == {"shop:job", "prices:price"}
    if given:
        assert after.attributes["coverage.incomplete_reason"] == "revision_changed"
    else:
        assert (after.resource[REVISION], after.attributes["coverage.complete"]) == (second, True)


@pytest.mark.row("code that changes", "flask --debug")
def test_the_process_that_flasks_reloader_starts_files_what_it_runs_under_what_it_loaded(
    tmp_path: Path, collector: Collector
) -> None:
    source = tmp_path / "source"
    first = deploy(source, "first")
    port = free_port()
    command = [*RUN, "flask", "--app", "shop", "run", "--debug", "--port", str(port)]
    with (
        process(command, source, collector) as started,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
    ):
        wait_for_answer(client, started)
        play_until(client, "first")
        collector.wait_for(lambda spans: bool(found(spans, "first")))  # engine coverage reads names from files
        (source / "shop.py").write_text(APPLICATION.replace("VERSION", "edited"))
        deadline = time.monotonic() + PATIENCE
        while not found(collector.spans, "edited"):
            assert time.monotonic() < deadline
            with suppress(httpx.TransportError):  # it restarts
                client.get("/", headers=TRACED)
            time.sleep(0.2)
        spans = collector.spans
    assert found(spans, "first") == {first}
    (revision,) = found(spans, "edited")
    assert revision.startswith(f"{first}+dirty.")
