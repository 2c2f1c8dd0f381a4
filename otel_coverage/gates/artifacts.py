"""What a report wrote is not larger than a budget."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from otel_coverage.errors import ConfigurationError
from otel_coverage.gates.outcome import FAILED, PASSED, UNDECIDED, Check, Finding
from otel_coverage.printable import counted
from otel_coverage.reporting.contents import size_text

_LARGEST = 5


def artifacts(folder: Path, budget: int) -> Check:
    """Add up the files of a folder.

    Args:
        folder: that a report wrote.
        budget: bytes.

    Raises:
        ConfigurationError: it cannot be read.
    """
    if not folder.is_dir():
        return Check("artifacts", UNDECIDED, f"{folder}: no such folder; the report was not written")
    try:
        sizes = dict(_sizes(folder))
    except OSError as error:
        raise ConfigurationError(f"--artifacts {folder}: {error}") from error
    if not sizes:
        return Check("artifacts", UNDECIDED, f"{folder} is empty: the report was not written")
    total = sum(sizes.values())
    files = counted(len(sizes), "file")
    said = f"{folder} has {size_text(total)} in {files}, at most {size_text(budget)} wanted"
    figures = {"bytes": total, "files": len(sizes), "at_most": budget}
    if total <= budget:
        return Check("artifacts", PASSED, said, figures=figures)
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:_LARGEST]
    findings = tuple(Finding(f"{path}: {size_text(size)}", "Largest files", level="notice") for path, size in largest)
    return Check("artifacts", FAILED, f"{said}; `report --max-size` leaves out what is least useful", findings, figures)


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    for here, _, names in os.walk(folder):
        for name in names:
            path = Path(here, name)
            yield path.relative_to(folder).as_posix(), path.lstat().st_size
