"""The processes of one test: Redis, collector, relay, web server and worker, each of which can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import httpx
from redis import Redis

from otel_coverage.demo.processes import Child, Supervisor
from otel_coverage.demo.redis import start_redis
from otel_coverage.store import Result, open_store
from tests.faults.journal import lines_of
from tests.support.commands import clean_environment
from tests.support.ports import free_port
from tests.support.processes import processes_with

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).parent.parent.parent
DESK = ROOT / "tests" / "data" / "desk"
OTEL_COVERAGE = (sys.executable, "-m", "otel_coverage")
PATIENCE = 90.0
STOPPING = 60.0


class Deployment:
    """A deployment in a folder of its own; nothing of it is left at the end.

    Args:
        folder: for stores, logs, journals and state.
        environment: additional variables of web server and worker.
        store: the folder of the store, if it is to lie elsewhere.

    Attributes:
        store: the folder of the store.
        web: the web server, once it was started; likewise collector and worker.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None, store: Path | None = None) -> None:
        self.folder = folder
        self.store = store or folder / "store"
        self.requests_journal = folder / "requests.journal"
        self.begun_journal = folder / "begun.journal"
        self.exports_journal = folder / "exports.journal"
        self._supervisor = Supervisor(folder)
        self._numbers: dict[str, int] = {}
        state = {"XDG_STATE_HOME": str(folder / "state"), "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
        path = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "data")])}
        self._tools = {**clean_environment(**state), **path}
        self._traced = {
            **self._tools,
            "OTEL_COVERAGE_ENABLED": "1",
            "OTEL_COVERAGE_SOURCE": str(DESK),
            "OTEL_RESOURCE_ATTRIBUTES": "vcs.ref.head.revision=one",
            "DESK_JOURNAL": str(self.begun_journal),
            **(environment or {}),
        }
        self.redis_url = ""
        self.address = ""
        self.base_url = ""
        self.collector: Child | None = None
        self.web: Child | None = None
        self.worker: Child | None = None
        self._relay: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._show_logs()
        if self._relay is not None:
            self._relay.kill()
            self._relay.communicate()
        self._supervisor.__exit__(kind, error, trace)
        self._end_stragglers()

    @property
    def dsn(self) -> str:
        """The address of the store."""
        return f"chdb://{self.store}"

    # the collector, and the relay in front of it

    def start_collector(self, *options: str, prefix: Sequence[str] = (), **environment: str) -> str:
        """Start the collector, and have the relay forward to it.

        Args:
            options: additional ones of ``collect``.
            prefix: a command that runs it.
            environment: additional variables.

        Returns:
            Its address.
        """
        endpoints = ("--grpc-endpoint", "127.0.0.1:0", "--http-endpoint", "none", "--clickhouse-endpoint")
        command = [*prefix, *OTEL_COVERAGE, "collect", "--store", self.dsn, *endpoints, "127.0.0.1:0", *options]
        self.collector = self._start("collector", command, {**self._tools, **environment})
        address = self.collector.wait_for(r"^listening on (\S+) \(OTLP/gRPC\)", PATIENCE)[1]
        self.collector.wait_for(r"^ready", PATIENCE)
        if self._relay is None:
            self._start_relay()
        self.relay(f"to {address}")
        return address

    def kill_collector(self) -> None:
        """``kill -9``."""
        assert self.collector is not None
        self._kill(self.collector)

    def stop_collector(self) -> int:
        """SIGTERM; its exit code."""
        assert self.collector is not None
        return self._supervisor.stop(self.collector, STOPPING)

    def relay(self, command: str) -> None:
        """Give the relay a command, see ``relay.py``."""
        assert self._relay is not None
        assert self._relay.stdin is not None
        assert self._relay.stdout is not None
        self._relay.stdin.write(command + "\n")
        self._relay.stdin.flush()
        assert self._relay.stdout.readline() == "ok\n"

    def _start_relay(self) -> None:
        command = [sys.executable, "-m", "tests.faults.relay", str(self.exports_journal)]
        self._relay = subprocess.Popen(
            command, env=self._tools, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._relay.stdout is not None
        self.address = self._relay.stdout.readline().strip()

    # the application

    def start_application(self, *gunicorn: str, worker: bool = True, endpoint: str | None = None) -> None:
        """Start Redis, the web server and, if wanted, the worker.

        Args:
            gunicorn: its options.
            worker: whether to start an RQ worker.
            endpoint: where to send spans; by default to the relay.
        """
        if not self.redis_url:
            _child, self.redis_url = start_redis(self._supervisor, self.folder, self._tools)
            self._traced["REDIS_URL"] = self.redis_url
        self.set_endpoint(endpoint or f"http://{self.address}")
        if worker:
            self.start_worker()
        self.start_web("gunicorn --bind 127.0.0.1:{port} --no-control-socket", *gunicorn, "desk.web:create_app()")
        if self.worker is not None:
            self.worker.wait_for(r"Listening on", PATIENCE)

    def add_to_path(self, folder: Path) -> None:
        """Have web servers and workers that are started from now on import what lies in a folder."""
        self._traced["PYTHONPATH"] += os.pathsep + str(folder)

    def set_endpoint(self, endpoint: str) -> None:
        """Where web servers and workers that are started from now on send their spans."""
        self._traced["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint

    def start_web(self, *command: str) -> Child:
        """Start a web server below ``otel-coverage run``, on a free port, and wait until it answers.

        Args:
            command: its words; ``{port}`` in them is replaced.
        """
        port = free_port()
        words = " ".join(command).format(port=port).split()
        self.web = self._start("web", [*OTEL_COVERAGE, "run", "--", *words], self._traced)
        self.base_url = f"http://127.0.0.1:{port}"
        wait_until(self._answers)
        return self.web

    def _answers(self) -> bool:
        assert self.web is not None
        self.web.check()
        try:
            httpx.get(f"{self.base_url}/no-such-page", timeout=PATIENCE)
        except httpx.TransportError:
            time.sleep(0.05)
            return False
        return True

    def start_worker(self, *command: str) -> Child:
        """Start an RQ worker below ``otel-coverage run``."""
        command = command or ("rq", "worker", "--url", self.redis_url)
        self.worker = self._start("worker", [*OTEL_COVERAGE, "run", "--", *command], self._traced)
        return self.worker

    def stop_application(self) -> None:
        """SIGTERM to worker and web server, as a deployment does."""
        for child in (self.worker, self.web):
            if child is not None and child.running:
                self._supervisor.stop(child, STOPPING)

    def stop_timed(self, child: Child, number: signal.Signals = signal.SIGTERM) -> float:
        """Send a signal to a process, and wait.

        Returns:
            The seconds until it had ended.
        """
        began = time.monotonic()
        child.process.send_signal(number)
        child.process.wait(STOPPING)
        took = time.monotonic() - began
        self._supervisor.stop(child)
        return took

    def web_workers(self) -> list[int]:
        """The processes that serve requests."""
        assert self.web is not None
        return children_of(self.web.process.pid)

    def work_horses(self) -> list[int]:
        """The processes that perform jobs."""
        assert self.worker is not None
        return [pid for pid in children_of(self.worker.process.pid) if is_fork_of(pid, self.worker.process.pid)]

    # clients

    def send(
        self, run: str, requests: Sequence[Mapping[str, Any]], *, threads: int = 4, pause: float = 0.0
    ) -> subprocess.Popen[bytes]:
        """Start a client that names profiles by a header, see ``header_client.py``."""
        plan = {
            "base_url": self.base_url,
            "run": run,
            "journal": str(self.requests_journal),
            "threads": threads,
            "pause": pause,
            "requests": list(requests),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.header_client"], env=self._tools, stdin=subprocess.PIPE
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(plan).encode())
        process.stdin.close()
        return process

    def play(
        self, run: str, profiles: Mapping[str, Sequence[tuple[str, str]]], *options: str, concurrency: int = 4
    ) -> subprocess.Popen[bytes]:
        """Start ``otel-coverage playback run`` of profiles, each a sequence of method and path.

        Requests are told apart by ``${run}`` in their paths.
        """
        folder = self.folder / "profiles" / run
        for slug, steps in profiles.items():
            (folder / slug).mkdir(parents=True)
            lines = [{"recording": 1, "profile": slug}, *({"method": method, "path": path} for method, path in steps)]
            (folder / slug / "recording.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        recordings = [str(folder / slug) for slug in profiles]
        command = ["playback", "run", *recordings, "--base-url", self.base_url, "--run-id", run]
        with (self.folder / f"playback-{run}.log").open("wb") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.faults.playback_client", str(self.requests_journal)),
                    *command,
                    *("--concurrency", str(concurrency)),
                    *options,
                ],
                env={**self._tools, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.address}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    # what is there

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> Result:
        """What the collector's store answers."""
        with open_store(self.dsn, read_only=True) as store:
            return store.query(sql, parameters)

    def requests(self) -> list[dict[str, Any]]:
        """The journal of the clients."""
        return lines_of(self.requests_journal)

    def begun(self) -> list[dict[str, Any]]:
        """The journal of the application: requests and jobs that have begun, jobs that are done."""
        return lines_of(self.begun_journal)

    def jobs(self) -> list[dict[str, Any]]:
        """That of jobs alone."""
        return [line for line in self.begun() if line["id"].startswith("job-")]

    def exports(self) -> list[dict[str, Any]]:
        """The journal of the relay."""
        return lines_of(self.exports_journal)

    def command(self, *arguments: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """The result of an ``otel-coverage`` command that has ended."""
        environment = {**self._tools, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.address}"}
        return subprocess.run(
            [*OTEL_COVERAGE, *arguments],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def verify(self, run: str) -> list[dict[str, Any]]:
        """What ``otel-coverage verify`` says is missing of a run."""
        result = self.command("verify", "--run", run, "--store", self.dsn, "--format", "json")
        assert result.returncode in (0, 1), result.stderr
        missing: list[dict[str, Any]] = json.loads(result.stdout)["missing"]
        assert result.returncode == (1 if missing else 0), result.stdout
        return missing

    def settle(self) -> None:
        """Let the jobs end, stop the application, and wait until all that it left behind was sent and stored."""
        if self.worker is not None and self.worker.running:
            with Redis.from_url(self.redis_url) as redis:
                for _ in range(3):  # a job may be between the queue and its process
                    wait_until(lambda: not redis.llen("rq:queue:default") and not self.work_horses())
                    time.sleep(0.2)
        self.stop_application()
        for spool in sorted((Path(self._traced["XDG_STATE_HOME"]) / "otel-coverage" / "spool").glob("*/")):
            flushed = self.command("spool", "flush", "--folder", str(spool), "--timeout", "60")
            assert flushed.returncode == 0, flushed.stdout + flushed.stderr
        count, before, deadline = -1, -2, time.monotonic() + PATIENCE
        while count != before and time.monotonic() < deadline:
            time.sleep(0.4)
            before, count = count, self.query("SELECT count() FROM otel_traces").rows[0][0]

    def _start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        return self._supervisor.start(f"{name}-{number}", command, environment)

    def _kill(self, child: Child) -> None:
        child.process.kill()
        child.process.wait()
        self._supervisor.stop(child)

    def _end_stragglers(self) -> None:
        """Kill what has the folder in its environment, such as a process that sends what others left behind."""
        for process in processes_with("TMPDIR", str(self.folder)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def _show_logs(self) -> None:
        for log in sorted(self.folder.glob("*.log")):
            sys.stderr.write(f"== {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-25:]) + "\n")


def children_of(pid: int) -> list[int]:
    """The processes that a process started, threads' included."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def is_fork_of(pid: int, parent: int) -> bool:
    """Whether a process runs what its parent runs, without an exec in between."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == Path(f"/proc/{parent}/cmdline").read_bytes()
    except OSError:
        return False


def wait_until(happened: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """What it returns once that is true; AssertionError where it does not become true."""
    deadline = time.monotonic() + patience
    while not (value := happened()):
        assert time.monotonic() < deadline, f"it did not happen within {patience} s"
        time.sleep(0.002)
    return value
