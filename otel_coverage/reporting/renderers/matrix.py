"""``matrix.json`` and ``matrix.csv``: which functions each profile executes."""

from __future__ import annotations

from pathlib import Path

from otel_coverage.reporting.documents import csv_text, json_text, write_text
from otel_coverage.reporting.findings import Findings
from otel_coverage.reporting.renderers.heading import heading, timestamp

COLUMNS = ("profile", "symbol", "module", "qualname", "line", "first_seen", "last_seen", "exemplar_trace_id")


def render(findings: Findings, folder: Path) -> None:
    """The JSON has a record for each profile, the CSV a row for each profile and function."""
    matrix = [
        {"profile": profile, "symbols": [symbol.id for symbol in findings.hits[profile]]}
        for profile in sorted(findings.hits)
    ]
    write_text(folder / "matrix.json", json_text({**heading(findings), "matrix": matrix}))
    rows = (
        (
            profile,
            symbol.id,
            symbol.module,
            symbol.qualname,
            symbol.line,
            timestamp(hit.first_seen),
            timestamp(hit.last_seen),
            hit.exemplar_trace_id,
        )
        for profile in sorted(findings.hits)
        for symbol, hit in findings.hits[profile].items()
    )
    write_text(folder / "matrix.csv", csv_text(COLUMNS, rows))
