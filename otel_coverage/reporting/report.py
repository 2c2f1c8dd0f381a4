"""A report: findings, as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from otel_coverage.reporting.findings import Findings
from otel_coverage.reporting.folder import published
from otel_coverage.reporting.notes import notes
from otel_coverage.reporting.renderers import gaps, leaderboard, matrix, redundancy, reverse_index, summary, symbols
from otel_coverage.reporting.renderers.data_files import DataFiles
from otel_coverage.source import SourceTree


@dataclass(frozen=True, slots=True)
class Report:
    """What was written.

    Attributes:
        findings: what the files tell.
        out: the folder that they are in.
        files: their names, sorted.
        notes: what a reader has to know, in sentences.
    """

    findings: Findings
    out: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]


def write_report(findings: Findings, tree: SourceTree, out: Path) -> Report:
    """Write all files of a report; ``out`` has all of them afterwards, or is as it was.

    Args:
        findings: what to tell.
        tree: the source that was traced; the data files speak of its files.
        out: a folder; made where there is none.

    Raises:
        ConfigurationError: the folder cannot be written, or the tree holds no file.
    """
    data_files = DataFiles(tree)
    unresolved = data_files.unresolved(findings)
    with published(out) as folder:
        for renderer in (matrix, reverse_index, gaps, leaderboard, redundancy, symbols):
            renderer.render(findings, folder)
        data_files.render(findings, folder)
        summary.render(findings, folder, unresolved)
        files = tuple(sorted(path.name for path in folder.iterdir()))
    return Report(findings, out, files, notes(findings, unresolved))
