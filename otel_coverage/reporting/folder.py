"""The folder that a report is written to."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coverage import CoverageException

from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.renderers.data_files import data_file_name
from otel_coverage.slug import is_slug


@contextmanager
def published(out: Path) -> Iterator[Path]:
    """A folder to write into; what is in it appears in ``out`` when the block ends, and not at all when it fails.

    Data files that an earlier report left in ``out`` for profiles that are gone go, other files stay.

    Raises:
        ConfigurationError: ``out`` cannot be a folder, or cannot be written.
    """
    draft = out.parent / f".{out.name}.{os.getpid()}"
    try:
        if out.exists() and not out.is_dir():
            raise ConfigurationError(f"{out}: is no folder; --out names the one that the report goes to")
        shutil.rmtree(draft, ignore_errors=True)  # of a process that had our number and was killed
        draft.mkdir(parents=True)
        yield draft
        out.mkdir(exist_ok=True)
        for stale in _earlier_data_files(out):
            if not (draft / stale).exists():
                (out / stale).unlink(missing_ok=True)
        for path in sorted(draft.iterdir()):
            path.replace(out / path.name)
    except (OSError, CoverageException) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{out}: the report cannot be written: {reason}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _earlier_data_files(out: Path) -> list[str]:
    """The data files that the report in ``out`` says are its own."""
    try:
        profiles = json.loads((out / "leaderboard.json").read_text(encoding="utf-8"))["profiles"]
        names = [str(profile["profile"]) for profile in profiles]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [data_file_name(name) for name in names if is_slug(name)]
