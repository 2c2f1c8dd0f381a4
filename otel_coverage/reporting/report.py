"""A report: the artifacts of one revision in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from otel_coverage.reporting.artifacts import ARTIFACTS
from otel_coverage.reporting.data_files import write_data_files
from otel_coverage.reporting.files import published, write_text
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.reporting.summary import notes, summary
from otel_coverage.source import SourceTree


@dataclass(frozen=True, slots=True)
class Report:
    """What was written.

    Attributes:
        queries: what the files were made from; the store may be closed by now.
        out: the folder that they are in.
        files: their names, sorted.
        notes: sentences about what the report could not do.
    """

    queries: RevisionQueries
    out: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]


def write_report(queries: RevisionQueries, tree: SourceTree, out: Path) -> Report:
    """Write all files of a report; ``out`` has all of them afterwards, or is unchanged.

    Args:
        queries: what to read, of an open store.
        tree: the source that was traced; the data files name its files.
        out: a folder; created where it does not exist.

    Raises:
        ConfigurationError: the folder cannot be written, or the tree has no files.
        StoreError: the engine refuses.
    """
    filenames = {file.path: file.filename for file in tree.files()}
    with published(out) as folder:
        for write in ARTIFACTS:
            write(queries, folder)
        found = notes(queries, write_data_files(queries, filenames, folder))
        write_text(folder / "summary.md", summary(queries, found))
        files = tuple(sorted(path.name for path in folder.iterdir()))
    return Report(queries, out, files, found)
