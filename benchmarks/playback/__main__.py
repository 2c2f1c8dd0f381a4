"""``python -m benchmarks.playback``: the example's profiles played with and without us, from first request to flush.

Each way has the application under gunicorn, an RQ worker that forks, a Redis and, where it is traced, a collector, all
to itself: ours, which acknowledges what ClickHouse's engine has stored, or one that acknowledges at once, as one does
that has a queue on disk. It plays every profile once to get warm; then the clock runs until the profiles were played
some times more, their jobs are done, and web server and worker were told to end and have sent what they had left. The
ways take turns, round after round; what is printed are medians, and ratios to the plain application.

The worker loads the application before it forks. It would not need to: but then each job's process would load Flask and
the rest anew in the plain application alone, since our worker has them already, and we would look cheaper than we are.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider

from otel_coverage.demo.example import Example
from otel_coverage.demo.processes import Child, Supervisor
from otel_coverage.demo.redis import start_redis, wait_for_jobs
from otel_coverage.playback import Player, Profile, job_status, load
from otel_coverage.playback.runner import play_all

_OURS = (sys.executable, "-m", "otel_coverage")
_STARTED = 60.0
_DONE = 300.0
_WORKER = "import sys, flask, shop.jobs; from rq.cli.cli import main; sys.argv[0] = 'rq'; main()"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Way:
    """How the application is run.

    Attributes:
        name: as the table shows it.
        through_us: whether ``otel-coverage run`` starts it.
        settings: ours, in its environment.
    """

    name: str
    through_us: bool
    settings: dict[str, str]


PLAIN = Way("plain", False, {})
WAYS = (
    PLAIN,
    Way("OpenTelemetry alone", True, {}),
    # the player does not know the token, so that nothing is traced
    Way("enabled, untraced", True, {"OTEL_COVERAGE_ENABLED": "1", "OTEL_COVERAGE_TOKEN": "another"}),
    Way("functions", True, {"OTEL_COVERAGE_ENABLED": "1", "OTEL_COVERAGE_GRANULARITY": "function"}),
    Way("lines", True, {"OTEL_COVERAGE_ENABLED": "1", "OTEL_COVERAGE_GRANULARITY": "line"}),
)


@dataclass(frozen=True)
class Cost:
    """Seconds: on the clock, and of CPU in web server and worker, their children included."""

    wall: float
    cpu: float


def main() -> None:
    """Play in every way, in turns."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.playback", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="times that each way has its turn (default 5)")
    parser.add_argument("--times", type=int, default=5, help="times that the profiles are played in a turn (default 5)")
    parser.add_argument("--profile", action="append", default=[], help="only these")
    parser.add_argument("--way", action="append", help="only ways whose name contains this; plain comes along")
    parser.add_argument("--queue", action="store_true", help="a collector that acknowledges at once, instead of ours")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    example = Example.find()
    example.check()
    profiles = [load(path, job_status=job_status.PATH) for path in example.recordings(arguments.profile)]
    ways = [way for way in WAYS if way is PLAIN or not arguments.way or any(part in way.name for part in arguments.way)]
    costs: dict[str, list[Cost]] = {way.name: [] for way in ways}
    for number in range(arguments.rounds):
        for way in ways:
            if sys.stderr.isatty():
                print(f"\r\033[Kround {number + 1} of {arguments.rounds}: {way.name}", end="", file=sys.stderr)
            costs[way.name].append(cost(way, example, profiles, arguments.times, queue=arguments.queue))
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    _print(costs, arguments.times * len(profiles), as_json=arguments.json)


def cost(way: Way, example: Example, profiles: list[Profile], times: int, *, queue: bool) -> Cost:
    """Of ``times`` times all profiles."""
    with tempfile.TemporaryDirectory() as temporary, Supervisor(Path(temporary)) as supervisor:
        folder = Path(temporary)
        environment = example.environment()
        _redis, redis_url = start_redis(supervisor, folder, environment)
        prefix: list[str] = []
        application = {**environment, "REDIS_URL": redis_url, "SHOP_DATABASE": str(folder / "shop.sqlite3")}
        if way.through_us:
            prefix = [*_OURS, "run", "--"]
            endpoint = _collector(supervisor, folder, environment, queue=queue)
            application |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_COVERAGE_SOURCE": str(example.source)}
        application |= way.settings
        web = supervisor.start("web", [*prefix, *example.web_server()], application)
        worker = supervisor.start(
            "worker", [*prefix, sys.executable, "-c", _WORKER, *example.worker(redis_url)[1:]], application
        )
        base_url = web.wait_for(r"Listening at: (http://\S+)", _STARTED)[1]
        web.wait_for(r"Booting worker", _STARTED)
        worker.wait_for(r"Listening on", _STARTED)
        player = Player(base_url, "benchmark", TracerProvider().get_tracer("benchmark"))
        _play(player, profiles)
        wait_for_jobs(redis_url, _DONE, supervisor.check)
        before = _cpu_until_now(web) + _cpu_until_now(worker) + _cpu_of_ended()
        begun = time.perf_counter()
        for _ in range(times):
            _play(player, profiles)
        wait_for_jobs(redis_url, _DONE, supervisor.check)
        supervisor.stop(worker)
        supervisor.stop(web)
        return Cost(time.perf_counter() - begun, _cpu_of_ended() - before)


def _collector(supervisor: Supervisor, folder: Path, environment: dict[str, str], *, queue: bool) -> str:
    others = ["--http-endpoint", "none", "--clickhouse-endpoint", "none"]
    command = [*_OURS, "collect", "--store", f"chdb://{folder / 'store'}", "--grpc-endpoint", "127.0.0.1:0", *others]
    if queue:
        command = [sys.executable, str(Path(__file__).with_name("acknowledging.py"))]
    collector = supervisor.start("collector", command, environment)
    return "http://" + collector.wait_for(r"^listening on (\S+) \(OTLP/gRPC\)", _STARTED)[1]


def _play(player: Player, profiles: list[Profile]) -> None:
    for outcome in play_all(player, profiles, concurrency=1):
        if outcome.failure:
            raise SystemExit(f"{outcome.profile}: {outcome.failure}")
    player.stopped.clear()


def _cpu_until_now(child: Child) -> float:
    """Of a process that runs, and of all in its group."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue  # ended meanwhile
        if int(fields[2]) == child.process.pid:  # its group
            total += sum(map(int, fields[11:15]))  # user, system, and both of the children that it has waited for
    return total / _TICKS


def _cpu_of_ended() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def _print(costs: dict[str, list[Cost]], played: int, *, as_json: bool) -> None:
    rows = {
        name: (statistics.median(each.wall for each in of_way), statistics.median(each.cpu for each in of_way))
        for name, of_way in costs.items()
    }
    plain_wall, plain_cpu = rows[PLAIN.name]
    if as_json:
        seconds = {name: {"wall": wall, "cpu": cpu} for name, (wall, cpu) in rows.items()}
        print(json.dumps({"profiles": played, "seconds": seconds}))
        return
    print(f"{played} profiles a turn, seconds for each, and the ratio to the plain application")
    print(f"{'':22} {'wall':>16} {'CPU of web and worker':>24}")
    for name, (wall, cpu) in rows.items():
        print(f"{name:22} {wall / played:8.3f} {wall / plain_wall:7.3f} {cpu / played:16.3f} {cpu / plain_cpu:7.3f}")


if __name__ == "__main__":
    main()
