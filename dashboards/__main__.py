"""Writes the dashboards into ``collector-config/grafana/dashboards/``; ``make dashboards``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from dashboards import entry_points, gaps, overhead, overview, pipeline, profile, symbol, trace
from dashboards.model import Dashboard

FOLDER = Path(__file__).parents[1] / "collector-config" / "grafana" / "dashboards"


def every() -> Sequence[Dashboard]:
    """All dashboards."""
    modules = (overview, profile, symbol, gaps, entry_points, pipeline, overhead, trace)
    return [module.dashboard() for module in modules]


def files() -> dict[str, str]:
    """The name and content of each file."""
    return {
        f"{dashboard.uid}.json": json.dumps(dashboard.json(), indent=1, ensure_ascii=False) + "\n"
        for dashboard in every()
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
