"""``symbols.json``: the catalog, with what of it was executed."""

from __future__ import annotations

from pathlib import Path

from otel_coverage.reporting.documents import json_text, write_text
from otel_coverage.reporting.findings import Findings
from otel_coverage.reporting.renderers.heading import heading


def render(findings: Findings, folder: Path) -> None:
    """A record for each function and class."""
    symbols = [
        {
            "id": definition.symbol.id,
            "module": definition.symbol.module,
            "qualname": definition.symbol.qualname,
            "line": definition.symbol.line,
            "kind": definition.kind,
            "file": definition.file,
            "end_line": definition.end_line,
            "parent": definition.parent,
            "executable_lines": list(definition.executable_lines),
            "covered": definition.symbol in findings.covered,
        }
        for definition in findings.catalog
    ]
    write_text(folder / "symbols.json", json_text({**heading(findings), "symbols": symbols}))
