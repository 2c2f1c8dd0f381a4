"""``leaderboard.json`` and ``.csv``: the profiles, those that execute the most functions first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from otel_coverage.reporting.documents import csv_text, json_text, write_text
from otel_coverage.reporting.findings import Findings
from otel_coverage.reporting.renderers.heading import heading, percent, timestamp

COLUMNS = (
    "position",
    "profile",
    "functions",
    "functions_covered",
    "functions_total",
    "percent",
    "lines_covered",
    "lines_total",
    "lines_percent",
    "runs",
    "failed_runs",
    "requests",
    "jobs",
    "complete",
    "incomplete_reasons",
    "first_seen",
    "last_seen",
)


def render(findings: Findings, folder: Path) -> None:
    """A record, and a row, for each profile."""
    records = leaderboard(findings)
    write_text(folder / "leaderboard.json", json_text({**heading(findings), "leaderboard": records}))
    rows = ([_cell(record[column]) for column in COLUMNS] for record in records)
    write_text(folder / "leaderboard.csv", csv_text(COLUMNS, rows))


def leaderboard(findings: Findings) -> list[dict[str, Any]]:
    """The profiles, ranked; those that execute equally many functions share a position.

    ``functions`` counts whatever was executed, ``functions_covered`` and ``lines_covered`` what the catalog knows.
    """
    counts = {profile.name: len(findings.hits.get(profile.name, {})) for profile in findings.profiles}
    ranked = sorted(findings.profiles, key=lambda profile: (-counts[profile.name], profile.name))
    total = len(findings.functions)
    return [
        {
            "position": 1 + sum(count > counts[profile.name] for count in counts.values()),
            "profile": profile.name,
            "functions": counts[profile.name],
            "functions_covered": (covered := findings.functions_covered(profile.name)),
            "functions_total": total,
            "percent": percent(covered, total),
            "lines_covered": (lines := findings.lines_covered(profile.name)),
            "lines_total": findings.lines_total,
            "lines_percent": percent(lines, findings.lines_total),
            "runs": profile.runs,
            "failed_runs": profile.failed_runs,
            "requests": profile.requests,
            "jobs": profile.jobs,
            "complete": profile.complete,
            "incomplete_reasons": list(profile.incomplete_reasons),
            "first_seen": timestamp(profile.first_seen),
            "last_seen": timestamp(profile.last_seen),
        }
        for profile in ranked
    ]


def _cell(value: object) -> object:
    return "; ".join(map(str, value)) if isinstance(value, list) else value
