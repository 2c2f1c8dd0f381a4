"""Processes that end while the collector is away: nobody waits for it, and what has ended lies in the spool."""

from __future__ import annotations

import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_coverage.framing import Frame, read_frames
from tests.support.collector import Collector
from tests.support.commands import NO_KEPT, RUN, call, running, wait_for_answer, wait_until
from tests.support.ports import free_port
from tests.support.servers import SERVERS, get_until_closed
from tests.support.traced import STORE_FRONT

TRACED = {"X-Profile-Trace": "checkout"}
LIMIT = 50.0  # seconds: far above what a server takes to stop, below the minute that an export may take here
UWSGI = pytest.mark.until(3, 14)


@contextmanager
def receiver(kind: str) -> Iterator[str]:
    """The URL of one that refuses connections, or takes them and never answers, or that no route leads to."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if kind == "silent":
            listening.listen(64)
        port = listening.getsockname()[1]
        yield "http://198.51.100.1:4317" if kind == "unreachable" else f"http://127.0.0.1:{port}"


def spooled(state: Path) -> list[str]:
    """The names of the spans in all spools."""
    names = []
    for path in sorted(state.rglob("*.spool")):
        requests = [
            frame.payload for frame in read_frames(path.read_bytes()) if isinstance(frame, Frame) and frame.kind == 1
        ]
        for request in map(ExportTraceServiceRequest.FromString, requests):
            names += [
                span.name for group in request.resource_spans for scope in group.scope_spans for span in scope.spans
            ]
    return names


def environment(endpoint: str, **others: str) -> dict[str, str]:
    return {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "60",
        "OTEL_BSP_SCHEDULE_DELAY": "60000",  # so that the end finds them waiting
        **others,
    }


@contextmanager
def stopped(command: str, number: int, **variables: str) -> Iterator[tuple[httpx.Client, list[int]]]:
    """A client of the server; at the end of the block the server gets the signal, and its exit code goes on the list.

    It fails where the server is still there after ``LIMIT`` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="web-") as folder:
        path, port = Path(folder, "socket"), free_port()
        words = command.format(socket=path, port=port).split()
        if words[0] == "gunicorn":
            words.insert(1, "--no-control-socket")
        transport = httpx.HTTPTransport(uds=str(path) if "{socket}" in command else None, limits=NO_KEPT)
        codes: list[int] = []
        with running([*RUN, *words], **variables) as process:
            with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}", timeout=LIMIT) as client:
                wait_for_answer(client, process)
                yield client, codes
            process.send_signal(number)
            codes.append(process.wait(LIMIT))


@pytest.mark.row("server that is stopped while the collector is silent")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(
    "server",
    [
        pytest.param(name, marks=[UWSGI] if name.startswith("uwsgi") else [])
        for name in SERVERS
        if name not in ("development server --reload", "uwsgi lazy")
    ],
)
def test_a_server_that_is_stopped_leaves_what_has_ended_in_the_spool_and_waits_for_nobody(
    server: str, number: signal.Signals, state_home: Path
) -> None:
    with (
        receiver("silent") as endpoint,
        stopped(SERVERS[server], number, **environment(endpoint)) as (client, codes),
    ):
        assert get_until_closed(client, "/goods", TRACED) == "apple, pear"
    wait_until(lambda: "GET /goods" in spooled(state_home))
    if number == signal.SIGTERM and server in ("waitress", "development server"):
        assert codes == [-signal.SIGTERM]  # as without us


@pytest.mark.row("server without a spool that is stopped while the collector is")
@pytest.mark.parametrize("kind", ["silent", "refusing", "unreachable"])
def test_without_a_spool_a_server_stops_in_time_too(kind: str) -> None:
    with (
        receiver(kind) as endpoint,
        stopped(SERVERS["gunicorn gthread"], signal.SIGTERM, **environment(endpoint, OTEL_COVERAGE_SPOOL="off")) as (
            client,
            codes,
        ),
    ):
        assert get_until_closed(client, "/goods", TRACED) == "apple, pear"
    assert codes == [0]


@pytest.mark.row("worker that is recycled while the collector is silent")
@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_a_worker_that_is_recycled_holds_no_request_and_loses_no_span(worker: str, state_home: Path) -> None:
    command = SERVERS["gunicorn sync"].replace("-k sync -w 2", f"-k {worker} -w 1 --max-requests 2")
    with (
        receiver("silent") as endpoint,
        stopped(command, signal.SIGTERM, **environment(endpoint)) as (client, _),
    ):
        for _ in range(6):
            assert get_until_closed(client, "/goods", TRACED) == "apple, pear"
    wait_until(lambda: spooled(state_home).count("GET /goods") == 6)


SCRIPT = """
import flask, os, signal, sys, time
from opentelemetry import trace
trace.get_tracer("t").start_span("work").end()
{end}
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("sys.exit(3)", 3),
        ("raise SystemExit(4)", 4),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -signal.SIGINT),  # as without us
        ("assert 'grpc' not in sys.modules", 0),
    ],
)
def test_however_a_script_ends_what_has_ended_before_lies_in_the_spool(end: str, code: int, state_home: Path) -> None:
    with receiver("silent") as endpoint:
        done = call([*RUN, sys.executable, "-c", SCRIPT.format(end=end)], **environment(endpoint))
    assert done.returncode == code, done.stderr
    assert spooled(state_home) == ["work"]


HANDLERS = """
import flask, os, signal, time
ours = signal.getsignal(signal.SIGTERM)
def own(number, frame):
    ours(number, frame)
    print("shut down in order", flush=True)
signal.signal(signal.SIGTERM, own)
os.kill(os.getpid(), signal.SIGTERM)
signal.signal(signal.SIGTERM, ours)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""


def test_an_application_with_a_handler_of_its_own_that_calls_the_one_before_it_lives_on() -> None:
    with receiver("refusing") as endpoint:
        done = call([*RUN, sys.executable, "-c", HANDLERS], **environment(endpoint))
    assert (done.stdout, done.returncode) == ("shut down in order\n", -signal.SIGTERM), done.stderr


FORKS = """
import flask, os, sys, time
from opentelemetry import trace
tracer = trace.get_tracer("t")
for number in range(350):
    tracer.start_span("parent").end()
    child = os.fork()
    if child == 0:
        tracer.start_span("child").end()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
assert "grpc._cython.cygrpc" not in sys.modules
"""


@pytest.mark.row("1,050 forks with GRPC_ENABLE_FORK_SUPPORT")
@pytest.mark.parametrize("fork_support", ["0", "1", None], ids=["0", "1", "unset"])
def test_a_process_forks_many_times_while_it_makes_spans_and_the_collector_is_silent(
    fork_support: str | None, state_home: Path
) -> None:
    variables = {} if fork_support is None else {"GRPC_ENABLE_FORK_SUPPORT": fork_support}
    with receiver("silent") as endpoint:
        done = call(
            [*RUN, sys.executable, "-W", "ignore", "-c", FORKS],
            **{**environment(endpoint), **variables, "OTEL_BSP_SCHEDULE_DELAY": "20"},
        )
    assert done.returncode == 0, done.stderr
    assert spooled(state_home).count("parent") == 350


POOL = """
import multiprocessing
from opentelemetry import trace
import flask

def work(number):
    trace.get_tracer("t").start_span(f"work {number}").end()
    return number

if __name__ == "__main__":
    trace.get_tracer("t").start_span("parent").end()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(sum(pool.map(work, range(20))))
"""


def test_what_workers_of_a_pool_have_done_lies_in_the_spool_though_they_are_terminated(
    state_home: Path, tmp_path: Path
) -> None:
    (tmp_path / "pooled.py").write_text(POOL)
    with receiver("silent") as endpoint:
        done = call([*RUN, sys.executable, "-W", "ignore", str(tmp_path / "pooled.py")], **environment(endpoint))
    assert done.stdout == "190\n", done.stderr
    assert sorted(spooled(state_home)) == sorted(["parent", *(f"work {number}" for number in range(20))])


def test_what_was_spooled_arrives_once_there_is_a_collector(collector: Collector) -> None:
    done = call([*RUN, sys.executable, "-c", SCRIPT.format(end="")], **environment(collector.endpoint))
    assert done.returncode == 0, done.stderr
    assert [span.name for span in collector.wait_for(lambda spans: spans)] == ["work"]


IN_CODE = """
import os, signal, sys, time
import otel_coverage
{before}
otel_coverage.instrument()
from opentelemetry import trace
trace.get_tracer("t").start_span("work").end()
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""


def test_a_process_instrumented_in_code_leaves_what_has_ended_at_sigterm_for_a_flush(
    collector: Collector, tmp_path: Path
) -> None:
    spool = {"OTEL_COVERAGE_SPOOL": str(tmp_path / "spool")}
    with receiver("silent") as endpoint:
        done = call([sys.executable, "-c", IN_CODE.format(before="")], **environment(endpoint, **spool))
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert spooled(tmp_path) == ["work"]
    flush = [sys.executable, "-m", "otel_coverage", "spool", "flush"]
    flushed = call(flush, **spool, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    assert flushed.returncode == 0, flushed.stderr
    assert [span.name for span in collector.spans] == ["work"]
    assert spooled(tmp_path) == []


def test_a_process_instrumented_in_code_that_ignores_sigterm_goes_on_to_do_so() -> None:
    before = "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep = lambda seconds: sys.exit(5)"
    with receiver("refusing") as endpoint:
        done = call([sys.executable, "-c", IN_CODE.format(before=before)], **environment(endpoint))
    assert done.returncode == 5, done.stderr


def test_a_process_instrumented_in_code_without_a_spool_ends_at_once_at_sigterm() -> None:
    before = "print(signal.getsignal(signal.SIGTERM), flush=True)"
    program = IN_CODE.format(before=before).replace("os.kill", before + "\nos.kill")
    with receiver("silent") as endpoint:
        done = call([sys.executable, "-c", program], **environment(endpoint, OTEL_COVERAGE_SPOOL="off"))
    assert done.returncode == -signal.SIGTERM
    assert len(set(done.stdout.splitlines())) == 1  # the default action is still there
