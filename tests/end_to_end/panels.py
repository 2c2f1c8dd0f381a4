"""Draws the dashboards with the demo's data: ``python -m tests.end_to_end.panels`` writes ``docs/panels/``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashboards.__main__ import every
from dashboards.model import Dashboard
from dashboards.preview import drawn
from tests.end_to_end import two_nights
from tests.end_to_end.played import play
from tests.end_to_end.statements import about_both_nights
from tests.support.browser import chromium

FOLDER = Path(__file__).parents[2] / "docs" / "panels"
SHOWN = ("overview", "symbol")


def page(dashboard: Dashboard, answers: Mapping[str, list[dict[str, Any]]]) -> str:
    """The page of a dashboard, with the rows that each statement has."""
    document = dashboard.json()
    rows = {panel["title"]: answers[panel["targets"][0]["rawSql"]] for panel in document["panels"]}
    return drawn(document, rows)


def _main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="panels-") as folder:
        play(Path(folder))
        answers = about_both_nights(two_nights.made(Path(folder), Path(folder)))
    draw(answers)


def draw(answers: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write a picture of each dashboard that the docs show."""
    with chromium() as browser:
        for dashboard in every():
            if dashboard.uid.removeprefix("otel-coverage-") in SHOWN:
                tab = browser.new_page(viewport={"width": 1248, "height": 830}, device_scale_factor=0.75)
                tab.set_content(page(dashboard, answers))
                tab.screenshot(path=FOLDER / f"{dashboard.uid}.png")
                tab.close()


if __name__ == "__main__":
    _main()
