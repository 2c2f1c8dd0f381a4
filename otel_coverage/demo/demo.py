"""The main job: an application and its worker traced, profiles played through them, a report on what was executed."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from otel_coverage.demo.example import Example
from otel_coverage.demo.jobs import wait_until_done
from otel_coverage.demo.processes import Child, ProcessError, Supervisor
from otel_coverage.demo.progress import Progress
from otel_coverage.demo.redis import start_redis
from otel_coverage.errors import OtelCoverageError
from otel_coverage.playback.playing import fresh_run_id
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import Report, write_report
from otel_coverage.source import SourceTree
from otel_coverage.store import open_store

_STARTED = 60.0
_PLAYED = 300.0


@dataclass(frozen=True, slots=True)
class Demo:
    """What is to be played, and where the report goes.

    Attributes:
        example: the application and its profiles.
        recordings: folders of the profiles to play.
        out: folder for the report.
        concurrency: how many profiles are played at the same time.
        store: folder that is to keep the spans; None to forget them.
        worker_class: gunicorn's, for the application.
    """

    example: Example
    recordings: Sequence[Path]
    out: Path
    concurrency: int = 1
    store: Path | None = None
    worker_class: str = "gthread"

    def run(self, progress: Progress) -> Report:
        """Start everything, play, wait, stop everything, and write the report.

        Raises:
            ProcessError: a process went wrong; it says how its log ends.
            OtelCoverageError: something else did.
        """
        with TemporaryDirectory(prefix="otel-coverage-demo-") as temporary, self._logs_kept_on_failure(Path(temporary)):
            folder = Path(temporary)
            store = f"chdb://{self.store or folder / 'store'}"
            with Supervisor(folder) as supervisor:
                stage = _Stage(self, supervisor, progress, folder, store)
                with progress.step("Reading the example's source for its catalog"):
                    stage.push_catalog()
                stage.play(fresh_run_id())
            with progress.step(f"Writing the report to {self.out}"), open_store(store, read_only=True) as opened:
                queries = select_revision(opened, revision=stage.revision)
                return write_report(queries, SourceTree([str(self.example.source)]), self.out)

    @property
    def logs(self) -> Path:
        """Where the processes' logs are left when something went wrong."""
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


class _Stage:
    """The demo while it runs."""

    def __init__(self, demo: Demo, supervisor: Supervisor, progress: Progress, folder: Path, store: str) -> None:
        self.demo = demo
        self.supervisor = supervisor
        self.progress = progress
        self.folder = folder
        self.store = store
        self.source = str(demo.example.source)
        self.revision = demo.example.revision  # asked once: somebody may commit meanwhile
        self.env = demo.example.environment()

    def push_catalog(self) -> None:
        """Tell the store what there is to be executed; before the collector takes the store for itself."""
        self._ours("schema", "schema", "apply", "--store", self.store)
        self._ours(
            *("catalog", "catalog", "push", "--store", self.store, "--source", self.source, "--revision", self.revision)
        )

    def play(self, run_id: str) -> None:
        """Everything that happens while the application is up."""
        with self.progress.step("Starting Redis, the collector, gunicorn and the RQ worker"):
            redis, redis_url = start_redis(self.supervisor, self.folder, self.env)
            collector, endpoint = self._start_collector()
            app = {**self.env, "REDIS_URL": redis_url, "SHOP_DATABASE": str(self.folder / "shop.sqlite3")}
            web, base_url = self._start_web(self._traced(app, endpoint, "shop-web"))
            worker = self._start_worker(self._traced(app, endpoint, "shop-worker"), redis_url)
        with self.progress.step(f"Playing {len(self.demo.recordings)} profiles"):
            self._playback(run_id, base_url, endpoint)
        with self.progress.step("Waiting for the jobs that are left"), _log_of(worker):
            count = wait_until_done(redis_url, _PLAYED, self.supervisor.check)
        self.progress.detail(f"{count} jobs")
        with self.progress.step("Stopping them again"):
            for child in (worker, web, collector, redis):
                self._stop(child)

    def _start_collector(self) -> tuple[Child, str]:
        endpoints = ["--grpc-endpoint", "127.0.0.1:0", "--http-endpoint", "none", "--clickhouse-endpoint", "none"]
        command = [*_OTEL_COVERAGE, "collect", "--store", self.store, *endpoints]
        child = self._start("collector", command, self.env)
        return child, "http://" + child.wait_for(r"^listening on (\S+) \(OTLP/gRPC\)", _STARTED)[1]

    def _start_web(self, env: Mapping[str, str]) -> tuple[Child, str]:
        command = [*_OTEL_COVERAGE, "run", "--", *self.demo.example.web_server(self.demo.worker_class)]
        child = self._start("gunicorn", command, env)
        address = child.wait_for(r"Listening at: (http://\S+)", _STARTED)[1]
        child.wait_for(r"Booting worker", _STARTED)
        return child, address

    def _start_worker(self, env: Mapping[str, str], redis_url: str) -> Child:
        child = self._start("worker", [*_OTEL_COVERAGE, "run", "--", *self.demo.example.worker(redis_url)], env)
        child.wait_for(r"Listening on", _STARTED)
        return child

    def _playback(self, run_id: str, base_url: str, endpoint: str) -> None:
        recordings = map(str, self.demo.recordings)
        options = ["--base-url", base_url, "--run-id", run_id, "--concurrency", str(self.demo.concurrency)]
        env = {**self.env, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        child = self._start("playback", [*_OTEL_COVERAGE, "playback", "run", *recordings, *options], env)
        told = 0
        for _ in self.supervisor.while_running(child, _PLAYED):
            told = self._tell(child, told)
        self._tell(child, told)
        if child.process.returncode:
            raise ProcessError("not every profile passed", child.tail())

    def _tell(self, playback: Child, told: int) -> int:
        """Say which profiles were played since the last time."""
        outcomes = list(_json_lines(playback.log.read_text(encoding="utf-8", errors="replace")))
        for outcome in outcomes[told:]:
            self.progress.say(
                f"  {outcome['outcome']}  {outcome['profile']}: {outcome['requests']} requests, {outcome['jobs']} jobs"
            )
        return len(outcomes)

    def _traced(self, env: Mapping[str, str], endpoint: str, service: str) -> dict[str, str]:
        return {
            **env,
            "OTEL_COVERAGE_ENABLED": "1",
            "OTEL_COVERAGE_SOURCE": self.source,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_RESOURCE_ATTRIBUTES": f"vcs.ref.head.revision={self.revision},service.version={self.revision}",
            "OTEL_SERVICE_NAME": service,
        }

    def _ours(self, name: str, *arguments: str) -> None:
        """One of our own commands, to its end."""
        command = [*_OTEL_COVERAGE, *arguments]
        self.progress.detail(" ".join(command))
        self.supervisor.run(name, command, self.env, _PLAYED)

    def _start(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> Child:
        self.progress.detail(" ".join(command))
        return self.supervisor.start(name, command, env)

    def _stop(self, child: Child) -> None:
        child.check()
        code = self.supervisor.stop(child)
        if code:
            raise ProcessError(f"{child.name} ended with exit code {code} when it was told to stop", child.tail())


_OTEL_COVERAGE = (sys.executable, "-m", "otel_coverage")


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{") and line.endswith("}"):
            yield json.loads(line)


@contextmanager
def _log_of(child: Child) -> Iterator[None]:
    """Have what goes wrong told with the end of the log that says why."""
    try:
        yield
    except ProcessError as error:
        error.tail = error.tail or child.tail()
        raise
