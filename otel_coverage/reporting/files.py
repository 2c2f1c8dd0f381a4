"""Writing files: the same data gives the same bytes, and a report's folder has all of its files or none."""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import platform
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coverage import CoverageException

from otel_coverage.errors import ConfigurationError, Interrupted
from otel_coverage.reporting.contents import remove
from otel_coverage.reporting.profiles.names import (
    COMBINED,
    COMBINED_DATA_FILE,
    EXPORTS,
    HTML,
    REPORT,
    data_file_name,
    folder_name,
)
from otel_coverage.signals import delayed
from otel_coverage.store.formats import inert, json_value

COMPARISON = ("diff.json", "diff.csv")  # with a baseline, only in reports that have one


Wanted = Callable[[str], bool]
"""Whether a file is wanted, by its name."""


def every_file(name: str) -> bool:
    """All files are wanted."""
    return True


class Json(str):
    """Text that is JSON already, of an item of a list."""

    __slots__ = ()


def json_text(document: Mapping[str, Any]) -> str:
    """A JSON object with a line for each entry, and one for each item of a list, so that diff and grep are useful."""
    return "".join(_json_lines(document))


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON object as :func:`json_text` has it, line by line; an iterator among its values is read once."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(_json_lines(document))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a header and the rows; a list becomes its members with spaces between them, booleans are as in
    JSON, texts as :func:`~otel_coverage.store.formats.inert` ones."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in row] for row in rows)


def csv_line(row: Sequence[Any], end: str = "\n") -> str:
    """A line as :func:`write_csv` writes it, or the beginning of one."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow([_cell(value) for value in row])
    return text.getvalue()[:-1] + end


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


@contextmanager
def published(out: Path, *, is_whole: bool = True) -> Iterator[Path]:
    """A folder to write into; its files appear in ``out`` when the block ends, and none of them when it fails.

    Its path is absolute: child processes with another working directory write to it.

    What an earlier report wrote to ``out`` for profiles that no longer exist is deleted, and its comparison with a
    baseline; other files stay.

    Args:
        out: created where it does not exist.
        is_whole: whether all files of a report are written; of a part, what else was there before stays.

    Raises:
        ConfigurationError: ``out`` is not a folder, cannot be written, or has something else in the place of a file.
        Interrupted: on Ctrl-C.
    """
    draft = out.absolute().parent / f".{out.name}.{platform.node()}.{os.getpid()}"  # a container's node is its own
    is_published = False
    try:
        if out.exists() and not out.is_dir():
            raise ConfigurationError(f"{out}: not a folder; --out names the folder that the report is written to")
        _delete_drafts(out)
        draft.mkdir(parents=True)
        yield draft
        _check_places(draft, out)
        with delayed(signal.SIGINT, signal.SIGTERM):
            out.mkdir(exist_ok=True)
            if is_whole:
                for stale in _earlier_files(out):
                    if not (draft / stale).exists():
                        remove(out, stale)
            _move(draft, out)
            is_published = True
    except KeyboardInterrupt:
        raise Interrupted(f"{out} {'has all files of the report' if is_published else 'is as it was'}") from None
    except (OSError, CoverageException) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{out}: the report cannot be written: {reason}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check_places(draft: Path, out: Path) -> None:
    """Raise where a file would replace a folder, or a folder something that no report wrote."""
    for path in draft.iterdir() if out.is_dir() else ():
        place = out / path.name
        if not place.exists() or (place.is_file() and path.is_file()):
            continue
        if not (place.is_dir() and path.is_dir()) or (path.name == HTML and not _is_html(place)):
            raise ConfigurationError(
                f"{place}: there is something that no report wrote; move it away, or choose another folder by --out"
            )
        if path.name != HTML:
            _check_places(path, place)


def _move(draft: Path, out: Path) -> None:
    """Move what is in one folder to another one; a folder of coverage.py's pages takes the place of the one there."""
    for path in sorted(draft.iterdir()):
        place = out / path.name
        if path.is_dir() and path.name != HTML:
            place.mkdir(exist_ok=True)
            _move(path, place)
            continue
        if place.is_dir():
            shutil.rmtree(place)
        path.replace(place)


def _is_html(folder: Path) -> bool:
    """Whether coverage.py wrote its pages to a folder."""
    return (folder / "status.json").is_file() and (folder / "index.html").is_file()


def _delete_drafts(out: Path) -> None:
    """Delete what processes left that were killed while they wrote a report to ``out``; also one that had our id."""
    for draft in out.parent.glob(glob.escape(f".{out.name}.{platform.node()}.") + "*"):
        process = draft.name.rpartition(".")[2]
        if process.isdecimal() and (int(process) == os.getpid() or not _is_running(int(process))):
            shutil.rmtree(draft, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


def _earlier_files(out: Path) -> list[str]:
    """What belongs to the report in ``out``, by its leaderboard, and not to every report."""
    try:
        profiles = json.loads((out / "leaderboard.json").read_text(encoding="utf-8"))["profiles"]
        names = [str(profile["profile"]) for profile in profiles]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    found = [*COMPARISON, HTML, COMBINED_DATA_FILE, *(f"{COMBINED}{Path(name).suffix}" for name in EXPORTS.values())]
    for profile in names:
        found.append(data_file_name(profile))
        found += [f"{folder_name(profile)}/{name}" for name in (REPORT, HTML, *EXPORTS.values())]
    return [name for name in found if (out / name).is_file() or _is_html(out / name)]


def _json_lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield "{"
    for number, (name, value) in enumerate(document.items()):
        yield f"{',' if number else ''}\n  {json_value(name)}: "
        if isinstance(value, list | Iterator):
            opened = False
            for item in value:
                text = item if isinstance(item, Json) else json_value(item, compact=isinstance(item, list))
                yield f"{',' if opened else '['}\n    {text}"
                opened = True
            yield "\n  ]" if opened else "[]"
        else:
            yield json_value(value)
    yield "\n}\n"


def _cell(value: object) -> object:
    if isinstance(value, list | tuple):
        return inert(" ".join(map(str, value)))
    if isinstance(value, str):
        return inert(value)
    return json_value(value) if isinstance(value, bool) else value
