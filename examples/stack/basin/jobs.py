"""The worker's jobs."""

from __future__ import annotations

import subprocess
import sys

from basin import model, queueing, runs


def delineate(run: str, cells: int) -> int:
    """Find the hillslopes."""
    areas = model.delineate(cells)
    runs.put(run, "areas", areas)
    return len(areas)


def weather(run: str, source: str) -> list[int]:
    """Fetch or make up the weather."""
    rain = model.weather(source)
    runs.put(run, "rain", rain)
    return rain


def burn(run: str, severity: int) -> None:
    """Have a fire burn the catchment."""
    runs.put(run, "severity", severity)


def run_off(run: str) -> list[int]:
    """Work out the runoff, and enqueue the summary."""
    depths = model.runoff(runs.results(run))
    runs.put(run, "runoff", depths)
    queueing.later(run, "summarize", run)
    return depths


def summarize(run: str) -> int:
    """Add the runoff up."""
    total: int = sum(runs.results(run)["runoff"])
    runs.put(run, "total", total)
    return total


def archive(run: str) -> None:
    """Write the archive, in a process of its own."""
    subprocess.run([sys.executable, "-m", "basin.archive", run], check=True)
