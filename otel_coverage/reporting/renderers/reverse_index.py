"""``reverse-index.json`` and ``.csv``: for each executed function, the profiles to replay after a change to it."""

from __future__ import annotations

from pathlib import Path

from otel_coverage.reporting.documents import csv_text, json_text, write_text
from otel_coverage.reporting.findings import Findings
from otel_coverage.reporting.renderers.heading import heading

COLUMNS = ("symbol", "module", "qualname", "line", "profile_count", "profiles")


def render(findings: Findings, folder: Path) -> None:
    """A record, and a row, for each function."""
    index = [{"symbol": symbol.id, "profiles": list(profiles)} for symbol, profiles in findings.profiles_of.items()]
    write_text(folder / "reverse-index.json", json_text({**heading(findings), "reverse_index": index}))
    rows = (
        (symbol.id, symbol.module, symbol.qualname, symbol.line, len(profiles), profiles)
        for symbol, profiles in findings.profiles_of.items()
    )
    write_text(folder / "reverse-index.csv", csv_text(COLUMNS, rows))
