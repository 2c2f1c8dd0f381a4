"""Commands in processes of their own (gunicorn, a worker, ``otel-coverage run``), which end with the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from otel_coverage.spool.folder import default_base
from otel_coverage.spool.spool_file import unsent_bytes
from tests.support.traced import DATA

BIN = Path(sys.executable).parent
RUN = (str(BIN / "otel-coverage"), "run", "--")
PLAIN = (str(BIN / "opentelemetry-instrument"),)
STARTERS = {"otel-coverage run": RUN, "opentelemetry-instrument": PLAIN}
PATIENCE = 120.0
NO_KEPT = httpx.Limits(max_keepalive_connections=0)  # a server may close a connection that is about to be used again


def clean_environment(**environment: str) -> dict[str, str]:
    """This process's environment without OpenTelemetry's variables, this package's included; ``environment`` added."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "BAGGAGE"))}
    path = os.pathsep.join(filter(None, [str(DATA), inherited.get("PYTHONPATH", "")]))
    return {
        **inherited,
        "PATH": os.pathsep.join([str(BIN), inherited.get("PATH", os.defpath)]),
        "PYTHONPATH": path,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        **environment,
    }


def call(command: Sequence[str], folder: Path = DATA, /, **environment: str) -> subprocess.CompletedProcess[str]:
    """The result of a command that has ended, its output captured as text."""
    return subprocess.run(
        list(command),
        cwd=folder,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


@contextmanager
def running(command: Sequence[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process group of its own. At the end it gets SIGTERM, then the whole group SIGKILL."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            list(command),
            cwd=DATA,
            env=clean_environment(**environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
            _end(process)
        except BaseException:
            output.seek(0)
            sys.stderr.write(output.read())
            raise
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _end(process: subprocess.Popen[str]) -> None:
    """Send SIGTERM until it ends: Python handles one that comes just before a blocking call only after that call."""
    deadline = time.monotonic() + PATIENCE
    while True:
        process.terminate()
        try:
            process.wait(min(10.0, PATIENCE))
            return
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise


@contextmanager
def gunicorn(application: str, *options: str, run: Sequence[str] = RUN, **environment: str) -> Iterator[httpx.Client]:
    """An HTTP client of a gunicorn that serves ``application``, by default under ``otel-coverage run``."""
    # a UNIX socket, as another test could take a port in between; its path may have 107 bytes at most
    with tempfile.TemporaryDirectory(prefix="web-") as folder:
        socket = Path(folder, "socket")
        command = [*run, "gunicorn", "--bind", f"unix:{socket}", "--no-control-socket", *options, application]
        with (
            running(command, **environment) as process,
            httpx.Client(
                transport=httpx.HTTPTransport(uds=str(socket), limits=NO_KEPT), base_url="http://test", timeout=PATIENCE
            ) as it,
        ):
            wait_for_answer(it, process)
            yield it


def wait_for_answer(client: httpx.Client, process: subprocess.Popen[str]) -> None:
    """Return when the server has sent any response; raises when the process ended or after `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            client.get("/no-such-page")
            return
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def wait_until(happened: Callable[[], object]) -> None:
    """Return once it has happened; fail where it does not."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {PATIENCE} s"
        time.sleep(0.02)


def wait_until_sent() -> None:
    """Return once what the test's processes have spooled is sent."""
    base = default_base()
    wait_until(lambda: not any(unsent_bytes(folder) for folder in (base.iterdir() if base.is_dir() else ())))
