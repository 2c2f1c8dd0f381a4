"""``gaps.json`` and ``gaps.csv``: what no profile executes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from otel_coverage.reporting.documents import csv_text, json_text, write_text
from otel_coverage.reporting.findings import Findings
from otel_coverage.reporting.renderers.heading import heading, percent

COLUMNS = ("symbol", "kind", "module", "qualname", "line", "end_line", "file", "executable_lines")


def render(findings: Findings, folder: Path) -> None:
    """A record, and a row, for each symbol; the JSON counts for each module, too.

    ``catalog`` is false where none was pushed for the revision: then nothing is known about gaps.
    """
    gaps = [
        {
            "symbol": gap.symbol.id,
            "kind": gap.kind,
            "file": gap.file,
            "line": gap.symbol.line,
            "end_line": gap.end_line,
            "executable_lines": len(gap.executable_lines),
        }
        for gap in findings.gaps
    ]
    modules = [
        {**asdict(module), "percent": percent(module.functions_covered, module.functions_total)}
        for module in findings.modules
    ]
    document = {**heading(findings), "catalog": bool(findings.catalog), "modules": modules, "gaps": gaps}
    write_text(folder / "gaps.json", json_text(document))
    rows = (
        (
            gap.symbol.id,
            gap.kind,
            gap.symbol.module,
            gap.symbol.qualname,
            gap.symbol.line,
            gap.end_line,
            gap.file,
            len(gap.executable_lines),
        )
        for gap in findings.gaps
    )
    write_text(folder / "gaps.csv", csv_text(COLUMNS, rows))
