"""``python -m benchmarks.recorder``: ratios to plain for every tool, workload and condition, and the wrong sets."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.recorder import workloads
from benchmarks.recorder.tools import Tool, tools

CONDITIONS = {"alone": "alone", "busy": "four busy threads", "idle": "idle recording beside"}


def main() -> None:
    """Measure in rounds, each measurement in a fresh process, and print the median of the rounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recorder", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times that everything is measured (default 3)")
    parser.add_argument("--repetitions", type=int, default=60, help="requests of which the best counts (default 60)")
    parser.add_argument("--workload", action="append", choices=workloads.names(), help="only these")
    parser.add_argument("--tool", action="append", help="only tools whose name contains this")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args()
    chosen = [tool for tool in tools() if not arguments.tool or any(part in tool.name for part in arguments.tool)]
    ratios: dict[tuple[str, str, str], list[float]] = {}
    for round_number in range(arguments.rounds):
        for name in arguments.workload or workloads.names():
            for condition in CONDITIONS:
                for tool in chosen:
                    if not _applies(tool, condition):
                        continue
                    _progress(f"round {round_number + 1}/{arguments.rounds}: {name}, {condition}: {tool.name}")
                    value = _measured(tool.name, name, condition, str(arguments.repetitions))
                    if value is not None:
                        ratios.setdefault((name, condition, tool.name), []).append(value)
    exact = {}
    for tool in chosen:
        if tool.concurrent and tool.name not in ("plain", "ours, enabled, untraced"):
            _progress(f"sets under eight threads: {tool.name}")
            exact[tool.name] = _measured(tool.name, "exact")
    _progress("")
    medians = {key: statistics.median(values) for key, values in ratios.items()}
    if arguments.json:
        rows = [{"workload": w, "condition": c, "tool": t, "ratio": round(v, 3)} for (w, c, t), v in medians.items()]
        print(json.dumps({"python": platform.python_version(), "ratios": rows, "wrong_sets": exact}, indent=2))
        return
    _print_tables(medians, exact, chosen)


def _applies(tool: Tool, condition: str) -> bool:
    """A tool with one context for the process has no second recording to leave idle."""
    return condition != "idle" or (tool.concurrent and not tool.name.startswith("Coverage()"))


def _measured(*arguments: str) -> Any:
    """What a measurement in a fresh process answers; None, with the reason on stderr, where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder, "out.json"), Path(folder, "log")
        with log.open("w") as stream:
            command = [sys.executable, "-m", "benchmarks.recorder.measure", str(out), *arguments]
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=stream, check=False, timeout=600)
        if out.exists():
            return json.loads(out.read_text())
        reason = (log.read_text().strip().splitlines() or ["no message"])[-1]
        print(f"not measured: {', '.join(arguments)}: {reason}", file=sys.stderr)
        return None


def _print_tables(medians: dict[tuple[str, str, str], float], exact: dict[str, object], chosen: list[Tool]) -> None:
    print(f"CPython {platform.python_version()}, ratio to the same requests untraced\n")
    width = max(len(tool.name) for tool in chosen)
    shown = [name for name in workloads.names() if any(key[0] == name for key in medians)]
    for condition, title in CONDITIONS.items():
        print(f"{title:{width}}  " + "  ".join(f"{name:>10}" for name in shown))
        for tool in chosen:
            cells = [medians.get((name, condition, tool.name)) for name in shown]
            if any(cell is not None for cell in cells):
                print(f"{tool.name:{width}}  " + "  ".join(f"{'-' if c is None else f'{c:.3f}':>10}" for c in cells))
        print()
    print("sets under eight threads and six kinds of request")
    for name, result in exact.items():
        wrong, total = result if isinstance(result, list) else ("?", "?")
        print(f"{name:{width}}  {wrong} of {total} wrong")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
