"""Rotel, an independent OpenTelemetry collector, as its wheel contains it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path

from tests.support.ports import free_port

PATIENCE = 120.0


@dataclass(frozen=True)
class Rotel:
    """A running agent.

    Attributes:
        grpc: the address of its OTLP/gRPC receiver.
        log: the file with its output.
    """

    grpc: str
    log: Path

    @property
    def output(self) -> str:
        """Its output, without escape sequences."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text())


def rotel(clickhouse: str, *options: str) -> AbstractContextManager[Rotel]:
    """An agent that exports to the ClickHouse HTTP interface at ``clickhouse``; SIGTERM at the end makes it flush."""
    return rotel_with("--exporter", "clickhouse", "--clickhouse-exporter-endpoint", f"http://{clickhouse}", *options)


@contextmanager
def rotel_with(*options: str) -> Iterator[Rotel]:
    """An agent with these options, the exporter's among them; SIGTERM at the end makes it flush."""
    with tempfile.TemporaryDirectory(prefix="rotel-") as folder:
        log = Path(folder, "log")
        grpc, http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        command = [
            str(agent()),
            *("start", "--otlp-grpc-endpoint", grpc, "--otlp-http-endpoint", http, "--batch-timeout", "50ms"),
            *("--otlp-grpc-max-recv-msg-size-mib", "64", "--pid-file", str(Path(folder, "pid"))),
            *options,
        ]
        with (
            log.open("w") as output,
            subprocess.Popen(
                command,
                env=_environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            started = Rotel(grpc, log)
            try:
                _wait_for(grpc, process, started)
                yield started
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE)
            finally:
                process.kill()


def options_of_the_agent() -> set[str]:
    """The options of ``rotel start``; each can also be set by an environment variable."""
    help_text = subprocess.run(
        [str(agent()), "start", "--help"],
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    ).stdout
    return set(re.findall(r"^\s+(--[\w-]+)", help_text, re.MULTILINE))


def _environment() -> dict[str, str]:
    """With the folder of libpython, which the wheels for some versions of Python are linked to."""
    folders = [sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH")]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(filter(None, folders))}


def agent() -> Path:
    """The program, as its wheel contains it."""
    for file in files("rotel") or ():
        if file.name == "rotel-agent":
            return Path(str(file.locate()))
    raise AssertionError("the wheel of rotel holds no rotel-agent")


def _wait_for(endpoint: str, process: subprocess.Popen[bytes], started: Rotel) -> None:
    host, port = endpoint.split(":")
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"rotel-agent does not listen:\n{started.output}") from error
            time.sleep(0.05)
