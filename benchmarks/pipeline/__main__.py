"""``python -m benchmarks.pipeline``: what it costs to get spans into ClickHouse, for jobs and for the collector.

Jobs are performed by a worker that forks a process for each: twenty small ones (2 ms) of one profile, plain, plain in a
worker whose processes know redis-py's version, as those of instrumented workers do, with OpenTelemetry alone, and
recorded, after some that are not measured, with which the sender of the spool is started.
"total" is the time from the first job's begin until the process of the last has ended, when all spans lie in the spool;
that of the CPU is of the worker and of all these processes. Then jobs that do nothing, with lines recorded, and a
collector that is healthy, that refuses, that never answers, or that is not there: the time of four, on average of
twenty-four, after four that are not measured.

Throughput is that of two processes that end spans of 500 functions as fast as they are accepted, until the last is in
the tables; the shares are those of each part, measured one after the other. All variants alternate in rounds; the
output has medians, and ratios within the run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable
from typing import Any

from benchmarks.pipeline import jobs, throughput
from benchmarks.pipeline.jobs import Jobs

BARS = "added wall 3 ms, added CPU of child 6 ms, ratio of the total 1.15"
PARTS = ("jobs", "collectors", "throughput")


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all variants of jobs (default 5)")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; repeatable")
    parser.add_argument("--seconds", type=float, default=20, help="to send spans (default 20)")
    parser.add_argument("--functions", type=int, default=500, help="of a span (default 500)")
    parser.add_argument("--minutes", type=float, default=0, help="then watch the collector's memory so long (10)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args()
    parts = arguments.part or PARTS
    report: dict[str, Any] = {"python": platform.python_version(), "processors": len(os.sched_getaffinity(0))}
    if "jobs" in parts:
        report["jobs"] = _jobs(arguments.rounds)
    if "collectors" in parts:
        report["collectors"] = _collectors(arguments.rounds)
    if "throughput" in parts:
        _progress("throughput")
        report["throughput"] = _throughput(arguments.seconds, arguments.functions)
        _progress("shares")
        report["shares"] = throughput.shares(arguments.functions)
    if arguments.minutes:
        _progress(f"memory, {arguments.minutes:g} minutes")
        report["memory"] = _throughput(arguments.minutes * 60, arguments.functions)
    _progress("")
    print(json.dumps(report)) if arguments.json else _print(report)


def _jobs(rounds: int) -> dict[str, dict[str, float]]:
    measured: dict[str, list[Jobs]] = {name: [] for name in jobs.VARIANTS}
    for number in range(rounds):
        for name, of_variant in measured.items():
            _progress(f"round {number + 1} of {rounds}: {name}")
            of_variant.append(jobs.of_variant(name, 20))
    return {name: _medians(of_variant) for name, of_variant in measured.items()}


def _collectors(rounds: int) -> dict[str, dict[str, float]]:
    measured: dict[str, list[Jobs]] = {name: [] for name in jobs.COLLECTORS}
    for number in range(rounds):
        for name, of_collector in measured.items():
            _progress(f"round {number + 1} of {rounds}: collector {name}")
            of_collector.append(jobs.with_collector(name, 4))
    return {name: _medians(of_collector) for name, of_collector in measured.items()}


def _medians(measured: Iterable[Jobs]) -> dict[str, float]:
    measured = list(measured)
    return {
        # the first job of a worker loads what later ones find loaded
        "wall": statistics.median(each for of_round in measured for each in of_round.wall[1:]),
        "cpu": statistics.median(each for of_round in measured for each in of_round.cpu[1:]),
        "faults": statistics.median(each for of_round in measured for each in of_round.faults[1:]),
        "parent": statistics.median(each for of_round in measured for each in of_round.parent[1:]),
        "least_wall": min(each for of_round in measured for each in of_round.wall),
        "least_cpu": min(each for of_round in measured for each in of_round.cpu),
        "total": statistics.median(of_round.total for of_round in measured),
        "ending": statistics.median(of_round.ending for of_round in measured),
    }


def _throughput(seconds: float, functions: int) -> dict[str, float]:
    measured = throughput.measure(seconds, functions)
    memory = measured.memory
    last = memory[-1][0]
    return {
        "spans": measured.spans,
        "missing": measured.spans - measured.stored,
        "spans_a_second": measured.stored / measured.seconds,
        "producing_ms": measured.producing / max(measured.spans, 1) * 1000,
        "collecting_ms": measured.collecting / max(measured.spans, 1) * 1000,
        "memory_first": max(megabytes for at, megabytes in memory if at <= last / 3),
        "memory_last": max(megabytes for at, megabytes in memory if at >= last * 2 / 3),
        "memory_most": max(megabytes for _at, megabytes in memory),
    }


def _print(report: dict[str, Any]) -> None:
    print(f"CPython {report['python']}, {report['processors']} processors")
    if "jobs" in report:
        _print_jobs(report["jobs"])
    if "collectors" in report:
        print("\nfour jobs that do nothing; seconds, and the ratio to a healthy collector")
        print(f"{'collector':22} {'total':>8} {'ratio':>8} {'until the worker has ended':>28}")
        healthy = report["collectors"]["healthy"]
        for name, row in report["collectors"].items():
            print(f"{name:22} {row['total']:8.3f} {row['total'] / healthy['total']:8.3f} {row['ending']:28.3f}")
    for name in ("throughput", "memory"):
        if name in report:
            row = report[name]
            print(
                f"\n{name}: {row['spans']} spans, {row['missing']} missing, {row['spans_a_second']:.0f} a second\n"
                f"CPU a span: {row['producing_ms']:.2f} ms in the processes that sent, the start of these included, "
                f"{row['collecting_ms']:.2f} ms in the collector\n"
                f"the collector's memory: at most {row['memory_most']:.0f} MB, in the first third "
                f"{row['memory_first']:.0f}, in the last {row['memory_last']:.0f}"
            )
    if "shares" in report:
        whole = sum(report["shares"].values())
        print(f"\nmilliseconds a span, one part after the other: {whole:.2f}")
        for name, milliseconds in report["shares"].items():
            print(f"  {name:10} {milliseconds:8.3f} {milliseconds / whole:6.0%}")


def _print_jobs(rows: dict[str, dict[str, float]]) -> None:
    plain = rows["plain"]
    print(f"\ntwenty jobs of 2 ms; milliseconds a job, and added to plain; ratios to plain; bars: {BARS}")
    columns = {"wall": "wall", "cpu": "CPU of child", "parent": "CPU of worker", "faults": "faults", "total": "total"}
    print(f"{'':20}" + "".join(f"{title:>22}" for title in columns.values()) + f"{'total of CPU':>14}")
    for name, row in rows.items():
        times = ("wall", "cpu", "parent")
        cells = [f"{row[key] * 1000:8.2f} ({(row[key] - plain[key]) * 1000:+.2f})" for key in times]
        cells.append(f"{row['faults']:.0f} ({row['faults'] - plain['faults']:+.0f})")
        cells.append(f"{row['total']:.3f} s ({row['total'] / plain['total']:.3f})")
        cpu = (row["cpu"] + row["parent"]) / (plain["cpu"] + plain["parent"])
        print(f"{name:20}" + "".join(f"{cell:>22}" for cell in cells) + f"{cpu:14.3f}")
    print(f"{'the least of all':20}")
    for name, row in rows.items():
        added = [(row[key] - plain[key]) * 1000 for key in ("least_wall", "least_cpu")]
        print(f"  {name:20} added wall {added[0]:+.2f}, added CPU of child {added[1]:+.2f}")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
