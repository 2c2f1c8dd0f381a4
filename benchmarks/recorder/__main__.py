"""``python -m benchmarks.recorder``: ratios to plain for every tool, workload and condition, and the wrong sets."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.recorder import workloads
from benchmarks.recorder.public_api import PublicApi
from benchmarks.recorder.tools import UNTRACED, Plain, Tool, tools

CONDITIONS = {"alone": "alone", "busy": "four busy threads", "idle": "idle recording beside"}
TIMEOUT = 60  # seconds for one measurement: a tool that needs more is not measured

SHARED = ("call_dense", "varied", "flask")  # workloads whose requests are taken apart

Cell = tuple[str, str, str]  # workload, condition, tool

# Student's t, 97.5 %, by degrees of freedom
_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09)
_T_OF_MORE = 2.09


def main() -> None:
    """Measure in rounds, each measurement in a fresh process, and print the median of the rounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recorder", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times that what has bars is measured (default 3)")
    parser.add_argument(
        "--seconds", type=float, default=0.6, help="of requests, of which the best counts (default 0.6)"
    )
    parser.add_argument("--workload", action="append", choices=workloads.names(), help="only these")
    parser.add_argument("--condition", action="append", choices=list(CONDITIONS), help="only these")
    parser.add_argument("--tool", action="append", help="only tools whose name contains this")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args()
    chosen = [tool for tool in tools() if not arguments.tool or any(part in tool.name for part in arguments.tool)]
    cells = [
        (name, condition, tool)
        for name in arguments.workload or workloads.names()
        for condition in arguments.condition or CONDITIONS
        for tool in chosen
        if _applies(tool, condition)
    ]
    ratios: dict[Cell, list[float]] = {}
    exact: dict[str, Any] = {}
    failures: list[str] = []
    for number in range(arguments.rounds):
        for name, condition, tool in cells:
            if number and not tool.every_round:
                continue
            _progress(f"round {number + 1} of {arguments.rounds}: {name}, {condition}: {tool.name}")
            value = _measured(failures, tool.name, name, condition, str(arguments.seconds))
            if value is not None:
                ratios.setdefault((name, condition, tool.name), []).append(value)
    for tool in chosen:
        if tool.concurrent and not isinstance(tool, Plain) and tool.name not in UNTRACED:
            _progress(f"sets under eight threads: {tool.name}")
            exact[tool.name] = _measured(failures, tool.name, "exact")
    shares: dict[tuple[str, str], dict[str, float]] = {}
    for tool in chosen:
        if isinstance(tool, PublicApi) and tool.is_traced and sys.version_info >= (3, 12):
            for name in [name for name in arguments.workload or workloads.names() if name in SHARED]:
                _progress(f"shares of {name}: {tool.name}")
                found = _measured(failures, tool.name, name, "shares")
                if found is not None:
                    shares[name, tool.name] = found
    _progress("")
    medians = {cell: statistics.median(values) for cell, values in ratios.items()}
    if arguments.json:
        rows = [
            {"workload": w, "condition": c, "tool": t, "ratio": round(v, 3), "upper": _upper_end(ratios[w, c, t])}
            for (w, c, t), v in medians.items()
        ]
        report = {
            "python": platform.python_version(),
            "ratios": rows,
            "shares": [{"workload": w, "tool": t, "milliseconds": found} for (w, t), found in shares.items()],
            "wrong_sets": exact,
            "failures": failures,
        }
        print(json.dumps(report, indent=2))
        return
    _print_tables(medians, exact, chosen)
    _print_upper_ends(ratios, chosen)
    _print_shares(shares)
    for failure in failures:
        print(f"not measured: {failure}")


def _applies(tool: Tool, condition: str) -> bool:
    """A tool with one context for the process has no second recording to leave idle."""
    return condition != "idle" or (tool.concurrent and not tool.name.startswith("Coverage()"))


def _measured(failures: list[str], *arguments: str) -> Any:
    """What a measurement in a fresh process answers; None, with the reason added to ``failures``, where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder, "out.json"), Path(folder, "log")
        command = [sys.executable, "-m", "benchmarks.recorder.measure", str(out), *arguments]
        reason = ""
        with log.open("wb") as stream:
            try:
                subprocess.run(command, stdout=subprocess.DEVNULL, stderr=stream, check=False, timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                reason = f"not done after {TIMEOUT} seconds"
        if out.exists():
            return json.loads(out.read_text())
        failures.append(f"{', '.join(arguments)}: {reason or _last_line(log)}")
        return None


def _last_line(log: Path) -> str:
    with log.open("rb") as stream:  # some tools write hundreds of megabytes
        stream.seek(max(0, os.path.getsize(log) - 2000))
        lines = stream.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"


def _print_tables(medians: dict[Cell, float], exact: dict[str, Any], chosen: list[Tool]) -> None:
    print(f"CPython {platform.python_version()}, ratio to the same requests untraced (CPU time; io_bound: wall time)\n")
    width = max(len(tool.name) for tool in chosen)
    shown = [name for name in workloads.names() if any(cell[0] == name for cell in medians)]
    for condition, title in CONDITIONS.items():
        if not any(cell[1] == condition for cell in medians):
            continue
        print(f"{title:{width}}  " + "  ".join(f"{name:>10}" for name in shown))
        for tool in chosen:
            row = [medians.get((name, condition, tool.name)) for name in shown]
            if any(ratio is not None for ratio in row):
                print(f"{tool.name:{width}}  " + "  ".join(f"{'-' if r is None else f'{r:.3f}':>10}" for r in row))
        print()
    print("sets under eight threads and six kinds of request")
    for name, result in exact.items():
        wrong, total = result or ("?", "?")
        print(f"{name:{width}}  {wrong} of {total} wrong")


def _print_upper_ends(ratios: dict[Cell, list[float]], chosen: list[Tool]) -> None:
    """Of what a user gets: where the mean lies at most, with 95 % confidence (both ends)."""
    rows = [
        (name, condition, tool.name, upper)
        for tool in chosen
        if isinstance(tool, PublicApi)
        for condition in CONDITIONS
        for name in workloads.names()
        if (upper := _upper_end(ratios.get((name, condition, tool.name), []))) is not None
    ]
    if rows:
        print("\nupper end of the 95 % interval of the mean of the rounds")
        for name, condition, tool_name, upper in rows:
            print(f"  {tool_name}, {name}, {CONDITIONS[condition]}: {upper:.3f}")


def _upper_end(values: list[float]) -> float | None:
    if len(values) < 3:
        return None
    degrees = len(values) - 1
    t = _T[degrees - 1] if degrees <= len(_T) else _T_OF_MORE
    return round(statistics.mean(values) + t * statistics.stdev(values) / math.sqrt(len(values)), 3)


def _print_shares(shares: dict[tuple[str, str], dict[str, float]]) -> None:
    if not shares:
        return
    print("\nmilliseconds of CPU time that a request pays beside OpenTelemetry alone; of each part the least of many")
    titles = [f"{workload}, {tool.rpartition(', ')[2]}" for workload, tool in shares]
    width = max(map(len, titles))
    print(f"{'':20}" + "".join(f"  {title:>{width}}" for title in titles))
    for part in next(iter(shares.values())):
        print(f"{part:20}" + "".join(f"  {found[part]:{width}.3f}" for found in shares.values()))


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
