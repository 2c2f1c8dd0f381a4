"""The demo: traces an application and its worker, plays profiles, and reports what each profile executed."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from otel_coverage.demo.example import Example
from otel_coverage.demo.folder import TemporaryFolder
from otel_coverage.demo.processes import Child, ProcessError, Supervisor
from otel_coverage.demo.redis import start_redis, wait_for_jobs
from otel_coverage.errors import OtelCoverageError
from otel_coverage.playback.runner import new_run_id
from otel_coverage.printable import counted
from otel_coverage.reporting.contents import Contents
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import Report, write_report
from otel_coverage.source import SourceTree
from otel_coverage.store import open_store

_START_TIMEOUT = 60.0  # seconds
_PLAYBACK_TIMEOUT = 300.0  # seconds


class Progress:
    """Prints a line for each finished step; on a terminal also a spinner during the step.

    Args:
        console: to print to.
        verbose: whether to print details.
    """

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        self.console = console
        self.verbose = verbose

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Run the block as a step; print its duration."""
        began = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(f"{doing} …"):
                yield
        else:
            yield
        self.print(f"{doing} ({time.monotonic() - began:.1f} s)")

    def print(self, text: str) -> None:
        """Print a line as it is."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def detail(self, text: str) -> None:
        """Print a line if verbose."""
        if self.verbose:
            self.console.print(f"    {text}", style="dim", markup=False, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo to run.

    Attributes:
        example: the application and its profiles.
        recordings: folders of the profiles to play.
        out: folder for the report.
        concurrency: profiles that are played concurrently.
        store: folder for the embedded store; None for a temporary one.
        worker_class: gunicorn's ``--worker-class``.
    """

    example: Example
    recordings: Sequence[Path]
    out: Path
    concurrency: int = 1
    store: Path | None = None
    worker_class: str = "gthread"

    def run(self, progress: Progress) -> Report:
        """Start all processes, play the profiles, wait for their jobs, stop the processes, write the report.

        Raises:
            ProcessError: a process failed; ``tail`` is the end of its log.
            OtelCoverageError: something else failed.
        """
        with TemporaryFolder(prefix="otel-coverage-demo-") as temporary, self._logs_kept_on_failure(Path(temporary)):
            folder = Path(temporary)
            store = f"chdb://{self.store or folder / 'store'}"
            with Supervisor(folder) as supervisor:
                running = _RunningDemo(self, supervisor, progress, folder, store)
                with progress.step("Storing the catalog of the example's source"):
                    running.push_catalog()
                running.play(new_run_id())
            with progress.step(f"Writing the report to {self.out}"), open_store(store, read_only=True) as opened:
                queries = select_revision(opened, revision=running.revision)
                tree = SourceTree([str(self.example.source)])
                return write_report(queries, tree, self.out, contents=Contents(html=True))

    @property
    def logs(self) -> Path:
        """The folder that the processes' logs are copied to after a failure."""
        return self.out.with_name(f"{self.out.name}-logs")

    @contextmanager
    def _logs_kept_on_failure(self, folder: Path) -> Iterator[None]:
        try:
            yield
        except OtelCoverageError:
            self.logs.mkdir(parents=True, exist_ok=True)
            for log in folder.glob("*.log"):
                shutil.copy(log, self.logs)
            raise


class _RunningDemo:
    """The processes of a demo."""

    def __init__(self, demo: Demo, supervisor: Supervisor, progress: Progress, folder: Path, store: str) -> None:
        self.demo = demo
        self.supervisor = supervisor
        self.progress = progress
        self.folder = folder
        self.store = store
        self.source = str(demo.example.source)
        self.revision = demo.example.revision  # read once: it may change during the demo
        self.env = {
            **demo.example.environment(),
            "OTEL_COVERAGE_SPOOL": str(folder / "spool"),
            "OTEL_COVERAGE_SPOOL_LINGER": "1",  # no later process has this folder: where the demo is killed, all ends
        }

    def push_catalog(self) -> None:
        """Create the schema and store the catalog; before the collector locks the store."""
        self._run("schema", self.env, "schema", "apply", "--store", self.store)
        self._run(
            *("catalog", self.env, "catalog", "push"),
            *("--store", self.store, "--source", self.source, "--revision", self.revision),
        )

    def play(self, run_id: str) -> None:
        """Start the application, play the profiles, wait for their jobs, and stop the application."""
        with self.progress.step("Starting Redis, the collector, gunicorn and the RQ worker"):
            redis, redis_url = start_redis(self.supervisor, self.folder, self.env)
            collector, endpoint = self._start_collector()
            app = {**self.env, "REDIS_URL": redis_url, "SHOP_DATABASE": str(self.folder / "shop.sqlite3")}
            web, base_url = self._start_web(self._traced(app, endpoint, "shop-web"))
            worker = self._start_worker(self._traced(app, endpoint, "shop-worker"), redis_url)
        with self.progress.step(f"Playing {len(self.demo.recordings)} profiles"):
            self._playback(run_id, base_url, endpoint)
        with self.progress.step("Waiting for the remaining jobs"), _with_log_of(worker):
            count = wait_for_jobs(redis_url, _PLAYBACK_TIMEOUT, self.supervisor.check)
        self.progress.detail(f"{count} jobs")
        with self.progress.step("Stopping them"):
            for child in (worker, web):
                self._stop(child)
            self._run("spool", {**self.env, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}, "spool", "flush")
            for child in (collector, redis):
                self._stop(child)

    def _start_collector(self) -> tuple[Child, str]:
        endpoints = ["--grpc-endpoint", "127.0.0.1:0", "--http-endpoint", "none", "--clickhouse-endpoint", "none"]
        command = [*_OTEL_COVERAGE, "collect", "--store", self.store, *endpoints]
        child = self._start("collector", command, self.env)
        return child, "http://" + child.wait_for(r"^listening on (\S+) \(OTLP/gRPC\)", _START_TIMEOUT)[1]

    def _start_web(self, env: Mapping[str, str]) -> tuple[Child, str]:
        command = [*_OTEL_COVERAGE, "run", "--", *self.demo.example.web_server(self.demo.worker_class)]
        child = self._start("gunicorn", command, env)
        address = child.wait_for(r"Listening at: (http://\S+)", _START_TIMEOUT)[1]
        child.wait_for(r"Booting worker", _START_TIMEOUT)
        return child, address

    def _start_worker(self, env: Mapping[str, str], redis_url: str) -> Child:
        child = self._start("worker", [*_OTEL_COVERAGE, "run", "--", *self.demo.example.worker(redis_url)], env)
        child.wait_for(r"Listening on", _START_TIMEOUT)
        return child

    def _playback(self, run_id: str, base_url: str, endpoint: str) -> None:
        recordings = map(str, self.demo.recordings)
        options = ["--base-url", base_url, "--run-id", run_id, "--concurrency", str(self.demo.concurrency)]
        env = {**self.env, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        child = self._start("playback", [*_OTEL_COVERAGE, "playback", "run", *recordings, *options], env)
        printed = 0
        for _ in self.supervisor.while_running(child, _PLAYBACK_TIMEOUT):
            printed = self._print_outcomes(child, printed)
        self._print_outcomes(child, printed)
        if child.process.returncode:
            raise ProcessError("some profiles failed", child.tail())

    def _print_outcomes(self, playback: Child, printed: int) -> int:
        """Print the outcomes after the first ``printed`` ones; returns their total number."""
        outcomes = list(_json_lines(playback.log.read_text(encoding="utf-8", errors="replace")))
        for outcome in outcomes[printed:]:
            self.progress.print(
                f"  {outcome['outcome']}  {outcome['profile']}: {counted(outcome['requests'], 'request')}, "
                f"{counted(outcome['jobs'], 'job')}"
            )
        return len(outcomes)

    def _traced(self, env: Mapping[str, str], endpoint: str, service: str) -> dict[str, str]:
        return {
            **env,
            "OTEL_COVERAGE_ENABLED": "1",
            "OTEL_COVERAGE_STARTUP": "1",
            "OTEL_COVERAGE_SOURCE": self.source,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_RESOURCE_ATTRIBUTES": f"vcs.ref.head.revision={self.revision},service.version={self.revision}",
            "OTEL_SERVICE_NAME": service,
        }

    def _run(self, name: str, env: Mapping[str, str], *arguments: str) -> None:
        """Run a command of otel-coverage until it exits."""
        command = [*_OTEL_COVERAGE, *arguments]
        self.progress.detail(" ".join(command))
        self.supervisor.run(name, command, env, _PLAYBACK_TIMEOUT)

    def _start(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> Child:
        self.progress.detail(" ".join(command))
        return self.supervisor.start(name, command, env)

    def _stop(self, child: Child) -> None:
        child.check()
        code = self.supervisor.stop(child)
        if code:
            raise ProcessError(f"{child.name} ended with exit code {code} when it was stopped", child.tail())


_OTEL_COVERAGE = (sys.executable, "-m", "otel_coverage")


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{") and line.endswith("}"):
            yield json.loads(line)


@contextmanager
def _with_log_of(child: Child) -> Iterator[None]:
    """Add the end of a child's log to a ProcessError that has none."""
    try:
        yield
    except ProcessError as error:
        error.tail = error.tail or child.tail()
        raise
