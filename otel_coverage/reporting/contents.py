"""Which files a report has: those that are asked for, as many as fit into a size, the most useful first."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.profiles.names import COMBINED_DATA_FILE, EXPORTS, HTML, REPORT

_SIZE = re.compile(r"(?P<count>\d{1,12}(\.\d{1,3})?) ?(?P<unit>[kmg]?)(?P<binary>i?)b?", re.IGNORECASE)
_UNITS = "_kmg"

# the most useful first: what is left out is from the end
_USEFUL = (
    r"summary\.md",
    r"index\.(html|js|css)",
    r"(leaderboard|gaps|diff|history|redundancy)\.json|coveragerc",
    r"entry-points\.json",
    r"[^/]+\.coverage",
    r"reverse-index\.json",
    r"matrix\.json",
    r"symbols\.json",
    r"(?!matrix\.)[^/]+\.csv",
    r"[^/]+\.parquet",
    rf"[^/]+/{re.escape(REPORT)}",
    r"matrix\.csv",
    rf"[^/]+/({'|'.join(map(re.escape, EXPORTS.values()))})|all\.[^/]+",
    rf"{HTML}",
    rf"[^/]+/{HTML}",
)
_ALWAYS = 2  # of those: they say what is left out
# of any report, for who names none that there is
_EXAMPLES = ("summary.md", "index.html", "matrix.json", "gaps.json", f"SLUG/{REPORT}", "SLUG.coverage", "…")


@dataclass(frozen=True, slots=True)
class Contents:
    """What a report is to have.

    Attributes:
        html: whether coverage.py's pages are.
        formats: further ones of coverage.py's: ``lcov``, ``xml``, ``markdown``.
        only: names of files, or patterns of them, that are wanted alone; empty for all.
        max_size: bytes that all files may have together; None for any number.
    """

    html: bool = False
    formats: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    max_size: int | None = None

    def wants(self, *names: str) -> bool:
        """Whether any of some files is wanted, by their paths below the report's folder."""
        return not self.only or any(_is_named(name, pattern) for name in names for pattern in self.only)

    def wants_format(self, format_name: str, name: str) -> bool:
        """Whether a file, or folder, that one of coverage.py's reporters writes is wanted."""
        if format_name == HTML:
            return self.html and self.wants(f"{name}/index.html")
        if format_name in self.formats:
            return self.wants(name)
        return any(_is_named(PurePosixPath(name).name, pattern) or fnmatchcase(name, pattern) for pattern in self.only)

    def drop_unwanted(self, folder: Path, left_out: Iterable[str] = (), problems: Sequence[str] = ()) -> None:
        """Delete the files of a folder that are not wanted.

        Args:
            folder: the report's.
            left_out: files that would be too large.
            problems: sentences about what could not be written.

        Raises:
            ConfigurationError: something is wanted that is not there.
        """
        names = [unit.name for unit in units(folder)]
        known = [*names, *left_out]
        for pattern in self.only:
            if not any(_is_named(name, pattern) for name in known):
                names = names or [*_EXAMPLES]
                raise ConfigurationError(
                    f"--only {pattern}: a report of this has no such file; it has {', '.join(names[:40])}"
                    f"{' …' if len(names) > 40 else ''}{''.join(f'. {problem}' for problem in problems)}"
                )
        for name in names:
            if not self.wants(name):
                remove(folder, name)


@dataclass(frozen=True, slots=True)
class Unit:
    """What is kept or left out as a whole: a file, or a folder of coverage.py's pages.

    Attributes:
        name: its path below the report's folder.
        size: bytes of its files.
    """

    name: str
    size: int


@dataclass(slots=True)
class LeftOut:
    """What a report does not have, since it would be too large.

    Attributes:
        limit: bytes that all files may have together.
        sizes: of what was left out, by its name; None of what was not even made.
    """

    limit: int | None
    sizes: dict[str, int | None] = field(default_factory=dict)

    def notes(self) -> tuple[str, ...]:
        """A sentence that names all that was left out; none where nothing was."""
        if not self.sizes or self.limit is None:
            return ()
        groups: dict[str, list[str]] = {}
        for name in sorted(self.sizes):
            owner, _, kind = name.rpartition("/")
            groups.setdefault(kind if owner else "", []).append(owner or name)
        named = [f"{f'{kind} of ' if kind else ''}{', '.join(names)}" for kind, names in sorted(groups.items())]
        return (f"Left out, as all files together may have {size_text(self.limit)}: {'; '.join(named)}.",)

    def drop(self, folder: Path, positions: Mapping[str, int]) -> bool:
        """Delete of a folder what does not fit, the least useful first. Returns whether there was something.

        Args:
            folder: the report's.
            positions: the folders of profiles, by their usefulness.
        """
        if self.limit is None:
            return False
        remaining, count = self.limit, len(self.sizes)
        for rank, unit in sorted((_rank(each.name, positions), each) for each in units(folder)):
            if unit.size <= remaining or rank[0] < _ALWAYS:
                remaining -= unit.size
            else:
                remove(folder, unit.name)
                self.sizes[unit.name] = unit.size
        return len(self.sizes) > count


def parse_size(text: str) -> int:
    """Bytes, of a text such as ``250M``, ``1.5 GB`` or ``64MiB``.

    Raises:
        ConfigurationError: it is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(f"--max-size {text!r}: not a size; write 250M, 1.5G or 64MiB")
    factor = 1024 if found["binary"] else 1000
    return int(float(found["count"]) * factor ** _UNITS.index(found["unit"].lower() or "_"))


def size_text(size: int) -> str:
    """Bytes as people read them."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def size_before(folder: Path, name: str) -> int:
    """Bytes of the files of a report that are more useful than one, or as useful."""
    rank = _rank(name, {})[0]
    return sum(unit.size for unit in units(folder) if _rank(unit.name, {})[0] <= rank)


def units(folder: Path, below: str = "") -> Iterator[Unit]:
    """The files of a report, folders of coverage.py's pages as one, sorted by name."""
    for path in sorted(folder.iterdir()):
        name = f"{below}{path.name}"
        if not path.is_dir():
            yield Unit(name, path.stat().st_size)
        elif path.name == HTML:
            yield Unit(name, sum(file.stat().st_size for file in path.iterdir()))
        else:
            yield from units(path, f"{name}/")


def remove(folder: Path, name: str) -> None:
    """Delete a file or folder of a report, and the folder that it leaves empty."""
    path = folder / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if path.parent != folder and path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def _rank(name: str, positions: Mapping[str, int]) -> tuple[int, int, str]:
    kind = next((number for number, each in enumerate(_USEFUL) if re.fullmatch(each, name)), len(_USEFUL))
    owner = name.partition("/")[0].removesuffix(".coverage")
    return kind, -1 if name == COMBINED_DATA_FILE else positions.get(owner, 0), name


def _is_named(name: str, pattern: str) -> bool:
    """Whether a pattern is of a file: of its path, of the end of that, or of a folder that it is in."""
    path = PurePosixPath(name)
    pattern = pattern.rstrip("/").removeprefix("./")
    return any(fnmatchcase(each, pattern) for each in (name, path.name, *map(str, path.parents)) if each != ".")
