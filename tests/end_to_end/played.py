"""The demo, run as a user does, and the content of its store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Symbols = frozenset[str]

_QUERIES = {
    "matrix": "SELECT profile, symbol, module, qualname, line FROM coverage_matrix",
    "functions": "SELECT DISTINCT service, profile, concat(module, ':', qualname, '@', toString(line)) AS symbol "
    "FROM coverage_functions",
    "lines": "SELECT service, profile, file, arraySort(arrayDistinct(arrayFlatten(groupArray(lines)))) AS lines "
    "FROM coverage_lines GROUP BY service, profile, file",
    "gaps": "SELECT * FROM coverage_gaps",
    "runs": "SELECT * FROM profile_runs",
    "entry_points": "SELECT * FROM entry_points",
    "symbol_entry_points": "SELECT * FROM symbol_entry_points",
    "entry_point_gaps": "SELECT * FROM entry_point_gaps",
}


@dataclass(frozen=True)
class Played:
    """The results of a demo.

    Attributes:
        out: the folder of the artifacts.
        printed: stdout of the demo.
        rows: records of each of the queries.
    """

    out: Path
    printed: str
    rows: Mapping[str, list[dict[str, Any]]]

    @property
    def functions(self) -> dict[tuple[str, str], Symbols]:
        """(service, profile) → symbols."""
        found: dict[tuple[str, str], Symbols] = {}
        for row in self.rows["functions"]:
            key = row["service"], row["profile"]
            found[key] = found.get(key, frozenset()) | {row["symbol"]}
        return found

    @property
    def lines(self) -> dict[tuple[str, str, str], list[int]]:
        """(service, profile, file) → lines."""
        return {(row["service"], row["profile"], row["file"]): row["lines"] for row in self.rows["lines"]}

    def lines_of(self, profile: str) -> dict[str, list[int]]:
        """File → lines, of all services."""
        found: dict[str, set[int]] = {}
        for (_, slug, file), lines in self.lines.items():
            if slug == profile:
                found.setdefault(file, set()).update(lines)
        return {file: sorted(lines) for file, lines in found.items()}


def play(folder: Path, *options: str) -> dict[str, Any]:
    """Run the demo, and query its store."""
    done = demo(folder, "--out", "artifacts", "--keep-store", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    (store,) = folder.glob("artifacts-store-*")
    return {"printed": done.stdout, "rows": query(store, _QUERIES)}


def demo(folder: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run ``otel-coverage demo`` in a folder until it exits."""
    command = [sys.executable, "-m", "otel_coverage", "demo", *options]
    return subprocess.run(
        command, cwd=folder, env=environment(**environ), capture_output=True, text=True, timeout=550, check=False
    )


def query(store: Path, queries: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Query an embedded store in a subprocess: only one process at a time can open a store."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("run_queries.py")), f"chdb://{store}"],
        input=json.dumps(queries),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return results


def environment(**more: str) -> dict[str, str]:
    """This process's environment without ``OTEL_`` variables."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}, **more}
