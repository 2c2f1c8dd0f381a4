"""``python -m benchmarks.playback``: the cost of whole profiles of the example, from first request to flush.

Each variant runs the application under gunicorn, an RQ worker that forks, Redis and, where it is traced, a collector:
the embedded one, which acknowledges after the insert, or one that acknowledges at once, like a collector with a
queue on disk. All profiles are played once as warm-up. The time is measured until the profiles were played ``--times``
times, their jobs are finished, and web server and worker have exited, with everything exported. The variants alternate
in rounds; the output has medians, and ratios to the plain application, and to the one with OpenTelemetry alone.

The worker imports the application before it forks. Otherwise each job's process would import Flask only in the plain
variant, since the traced worker has imported it already, and tracing would look cheaper than it is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider

from benchmarks.pipeline.processes import private_folder
from otel_coverage.demo.example import Example
from otel_coverage.demo.processes import Child, Supervisor
from otel_coverage.demo.redis import start_redis, wait_for_jobs
from otel_coverage.playback import Player, Profile, job_status, load
from otel_coverage.playback.runner import play_all

_OTEL_COVERAGE = (sys.executable, "-m", "otel_coverage")
_START_TIMEOUT = 60.0
_PLAYBACK_TIMEOUT = 300.0
_WORKER = "import sys, flask, shop.jobs; from rq.cli.cli import main; sys.argv[0] = 'rq'; main()"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Variant:
    """How the application is run.

    Attributes:
        name: as the table shows it.
        traced: whether it is started by ``otel-coverage run``.
        settings: additional environment variables.
    """

    name: str
    traced: bool
    settings: dict[str, str]


PLAIN = Variant("plain", False, {})
TELEMETRY = Variant("OpenTelemetry alone", True, {})
VARIANTS = (
    PLAIN,
    TELEMETRY,
    # the player has no token, so nothing is recorded
    Variant("enabled, untraced", True, {"OTEL_COVERAGE_ENABLED": "1", "OTEL_COVERAGE_TOKEN": "another"}),
    Variant("functions", True, {"OTEL_COVERAGE_ENABLED": "1", "OTEL_COVERAGE_GRANULARITY": "function"}),
    Variant("lines", True, {"OTEL_COVERAGE_ENABLED": "1", "OTEL_COVERAGE_GRANULARITY": "line"}),
)


@dataclass(frozen=True)
class Cost:
    """Seconds: wall clock, and CPU of web server and worker with their children."""

    wall: float
    cpu: float


def main() -> None:
    """Measure all variants in turn."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.playback", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all variants (default 5)")
    parser.add_argument("--times", type=int, default=5, help="playbacks of all profiles per round (default 5)")
    parser.add_argument("--profile", action="append", default=[], help="only these profiles")
    parser.add_argument(
        "--variant",
        action="append",
        help="only variants whose name contains this; plain and OpenTelemetry alone are always included",
    )
    parser.add_argument("--queue", action="store_true", help="a collector that acknowledges at once")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    example = Example.find()
    example.check()
    profiles = [load(path, job_status=job_status.PATH) for path in example.recordings(arguments.profile)]
    variants = [
        variant
        for variant in VARIANTS
        if variant in (PLAIN, TELEMETRY)
        or not arguments.variant
        or any(part in variant.name for part in arguments.variant)
    ]
    costs: dict[str, list[Cost]] = {variant.name: [] for variant in variants}
    for number in range(arguments.rounds):
        for variant in variants:
            if sys.stderr.isatty():
                print(f"\r\033[Kround {number + 1} of {arguments.rounds}: {variant.name}", end="", file=sys.stderr)
            costs[variant.name].append(cost(variant, example, profiles, arguments.times, queue=arguments.queue))
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    _print(costs, arguments.times * len(profiles), as_json=arguments.json)


def cost(variant: Variant, example: Example, profiles: list[Profile], times: int, *, queue: bool) -> Cost:
    """Play all profiles ``times`` times in one variant."""
    with private_folder() as folder, Supervisor(folder) as supervisor:
        environment = {**example.environment(), "XDG_STATE_HOME": str(folder / "state")}
        _redis, redis_url = start_redis(supervisor, folder, environment)
        prefix: list[str] = []
        application = {**environment, "REDIS_URL": redis_url, "SHOP_DATABASE": str(folder / "shop.sqlite3")}
        if variant.traced:
            prefix = [*_OTEL_COVERAGE, "run", "--"]
            endpoint = _collector(supervisor, folder, environment, queue=queue)
            application |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_COVERAGE_SOURCE": str(example.source)}
        application |= variant.settings
        web = supervisor.start("web", [*prefix, *example.web_server()], application)
        worker = supervisor.start(
            "worker", [*prefix, sys.executable, "-c", _WORKER, *example.worker(redis_url)[1:]], application
        )
        base_url = web.wait_for(r"Listening at: (http://\S+)", _START_TIMEOUT)[1]
        web.wait_for(r"Booting worker", _START_TIMEOUT)
        worker.wait_for(r"Listening on", _START_TIMEOUT)
        player = Player(base_url, "benchmark", TracerProvider().get_tracer("benchmark"))
        _play(player, profiles)
        wait_for_jobs(redis_url, _PLAYBACK_TIMEOUT, supervisor.check)
        before = _cpu_until_now(web) + _cpu_until_now(worker) + _cpu_of_ended()
        begun = time.perf_counter()
        for _ in range(times):
            _play(player, profiles)
        wait_for_jobs(redis_url, _PLAYBACK_TIMEOUT, supervisor.check)
        supervisor.stop(worker)
        supervisor.stop(web)
        return Cost(time.perf_counter() - begun, _cpu_of_ended() - before)


def _collector(supervisor: Supervisor, folder: Path, environment: dict[str, str], *, queue: bool) -> str:
    others = ["--http-endpoint", "none", "--clickhouse-endpoint", "none"]
    command = [
        *_OTEL_COVERAGE,
        "collect",
        "--store",
        f"chdb://{folder / 'store'}",
        "--grpc-endpoint",
        "127.0.0.1:0",
        *others,
    ]
    if queue:
        command = [sys.executable, str(Path(__file__).with_name("acknowledging.py"))]
    collector = supervisor.start("collector", command, environment)
    return "http://" + collector.wait_for(r"^listening on (\S+) \(OTLP/gRPC\)", _START_TIMEOUT)[1]


def _play(player: Player, profiles: list[Profile]) -> None:
    for outcome in play_all([(player, profile) for profile in profiles], concurrency=1):
        if outcome.failure:
            raise SystemExit(f"{outcome.profile}: {outcome.failure}")
    player.stopped.clear()


def _cpu_until_now(child: Child) -> float:
    """Seconds of CPU of a running process and its group."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue  # ended meanwhile
        if int(fields[2]) == child.process.pid:  # its group
            total += sum(map(int, fields[11:15]))  # user and system, of the process and of its reaped children
    return total / _TICKS


def _cpu_of_ended() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def _print(costs: dict[str, list[Cost]], played: int, *, as_json: bool) -> None:
    rows = {
        name: Cost(statistics.median(each.wall for each in found), statistics.median(each.cpu for each in found))
        for name, found in costs.items()
    }
    if as_json:
        print(json.dumps({"profiles": played, "seconds": {name: asdict(cost) for name, cost in rows.items()}}))
        return
    print(f"CPython {platform.python_version()}, {len(os.sched_getaffinity(0))} processors")
    print(f"{played} profiles a round, seconds a profile; ratios to plain, and to OpenTelemetry alone")
    print(f"{'':22} {'wall':>8} {'ratio':>7} {'ratio':>7} {'CPU of web and worker':>24} {'ratio':>7} {'ratio':>7}")
    plain, telemetry = rows[PLAIN.name], rows[TELEMETRY.name]
    for name, cost in rows.items():
        print(
            f"{name:22} {cost.wall / played:8.3f} {cost.wall / plain.wall:7.3f} {cost.wall / telemetry.wall:7.3f} "
            f"{cost.cpu / played:24.3f} {cost.cpu / plain.cpu:7.3f} {cost.cpu / telemetry.cpu:7.3f}"
        )


if __name__ == "__main__":
    main()
