"""Writing files: the same data gives the same bytes, and a report's folder has all of its files or none."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coverage import CoverageException

from otel_coverage.errors import ConfigurationError
from otel_coverage.slug import is_slug


def json_text(document: Mapping[str, Any]) -> str:
    """A JSON object with a line for each entry, and one for each item of a list, so that diff and grep are useful."""
    return "".join(_json_lines(document))


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON object as :func:`json_text` has it, line by line; an iterator among its values is read once."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(_json_lines(document))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a header and the rows; a list becomes its members with spaces between them, booleans are as in JSON."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in row] for row in rows)


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name, then rename it.

    Raises:
        OSError: it cannot be written; a file that was there before is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def data_file_name(slug: str) -> str:
    """The name of a profile's coverage.py data file."""
    return f"{slug}.coverage"


@contextmanager
def published(out: Path) -> Iterator[Path]:
    """A folder to write into; its files appear in ``out`` when the block ends, and none of them when it fails.

    Data files that an earlier report wrote to ``out`` for profiles that no longer exist are deleted; other files stay.

    Raises:
        ConfigurationError: ``out`` is not a folder, or cannot be written.
    """
    draft = out.parent / f".{out.name}.{os.getpid()}"
    try:
        if out.exists() and not out.is_dir():
            raise ConfigurationError(f"{out}: not a folder; --out names the folder that the report is written to")
        shutil.rmtree(draft, ignore_errors=True)  # of a killed process that had our id
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
    """The data files that belong to the report in ``out``, by its leaderboard."""
    try:
        profiles = json.loads((out / "leaderboard.json").read_text(encoding="utf-8"))["profiles"]
        names = [str(profile["profile"]) for profile in profiles]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [data_file_name(name) for name in names if is_slug(name)]


def _json_lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield "{"
    for number, (name, value) in enumerate(document.items()):
        yield f"{',' if number else ''}\n  {_json(name)}: "
        if isinstance(value, list | Iterator):
            opened = False
            for item in value:
                yield f"{',' if opened else '['}\n    {_json(item)}"
                opened = True
            yield "\n  ]" if opened else "[]"
        else:
            yield _json(value)
    yield "\n}\n"


def _cell(value: object) -> object:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return _json(value) if isinstance(value, bool) else value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
