"""The report's files by their addresses: each is written when it is asked for, by what writes it into a report."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from otel_coverage.errors import OtelCoverageError
from otel_coverage.reporting.artifacts import ARTIFACTS
from otel_coverage.reporting.changes.comparison import compare
from otel_coverage.reporting.changes.document import write_comparison
from otel_coverage.reporting.history import history, write_history
from otel_coverage.reporting.profiles.documents import Documents
from otel_coverage.reporting.profiles.executed import executed_by_profiles
from otel_coverage.reporting.profiles.names import REPORT, folder_name
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.reporting.request import ReportRequest
from otel_coverage.suggestions import suggestion

HISTORY, COMPARISON = "history", "diff"
_ALIASES = {"profiles": "leaderboard"}  # a view's name, and what the report calls its data
_PROFILE = "profiles/"

# what each address has, and in which formats
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "profiles": ("all profiles, those that execute the most functions first", ("json", "csv")),
    "entry-points": ("routes, jobs and commands, and those that no profile reached", ("json", "csv", "parquet")),
    "symbols": ("the catalog: every function and class, with its executable lines", ("json",)),
    "matrix": ("profile → functions that it executed", ("json", "csv", "parquet")),
    "reverse-index": ("function → profiles that execute it", ("json", "csv", "parquet")),
    "gaps": ("functions and classes that no profile executed", ("json", "csv", "parquet")),
    "redundancy": ("what each profile adds to the others", ("json",)),
    HISTORY: ("the last revisions", ("json", "csv")),
    COMPARISON: ("what changed since the baseline", ("json", "csv")),
}


class UnknownFileError(OtelCoverageError):
    """There is no such file."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An address, and what is there."""

    url: str
    holds: str


def listed(request: ReportRequest) -> Iterator[Listed]:
    """All addresses but those of single profiles."""
    for name, (holds, endings) in KINDS.items():
        if name != COMPARISON or request.baseline is not None:
            for ending in endings:
                yield Listed(f"/{name}.{ending}", holds)
    yield Listed(f"/{_PROFILE}{{profile}}.json", "one profile: its functions, lines and entry points")


def write_file(name: str, queries: RevisionQueries, request: ReportRequest, folder: Path) -> Path:
    """Write a file into a folder, and those that are written with it; one that is there already stays.

    Args:
        name: its address, without the slash in front.
        queries: what to read, of an open store.
        request: what the report is about.
        folder: an existing one, of these queries alone.

    Raises:
        UnknownFileError: there is none of that name; the message says what there is.
        StoreError: the engine refuses.
    """
    if name.startswith(_PROFILE) and name.endswith(".json"):
        return _write_profile(name.removeprefix(_PROFILE).removesuffix(".json"), queries, folder)
    stem, _, ending = name.rpartition(".")
    kind = _ALIASES.get(stem, stem)
    known = {each.url.removeprefix("/") for each in listed(request)} | {
        f"{kind}.{ending}" for view, kind in _ALIASES.items() for ending in KINDS[view][1]
    }
    if name not in known:
        raise UnknownFileError(f"there is no /{name}; {suggestion(name, sorted(known))}")
    path = folder / f"{kind}.{ending}"
    if not path.exists():
        with TemporaryDirectory(dir=folder) as draft:
            _write(kind, queries, request, Path(draft))
            _keep(Path(draft), folder)
    return path


def media_type(path: Path) -> str:
    """What a file is, for the header of a response."""
    known = {".json": "application/json", ".csv": "text/csv; charset=utf-8", ".parquet": "application/octet-stream"}
    return known.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _write(kind: str, queries: RevisionQueries, request: ReportRequest, folder: Path) -> None:
    if kind in ARTIFACTS:
        ARTIFACTS[kind](queries, folder)
    elif kind == HISTORY:
        write_history(queries, history(queries, request.history_length), folder)
    else:
        baseline, reasons = request.select_baseline(queries)
        if baseline is None:
            raise UnknownFileError(" ".join(reasons) or "nothing is compared: start it with --baseline")
        write_comparison(compare(queries, baseline), folder)


def _write_profile(profile: str, queries: RevisionQueries, folder: Path) -> Path:
    names = [str(row["profile"]) for row in queries.profiles]
    if profile not in names:
        profile = profile.replace("%2F", "/")  # which the server leaves as it is, for it would be another path
    if profile not in names:
        raise UnknownFileError(f"there is no profile {profile!r}; {suggestion(profile, names)}")
    path = folder / folder_name(profile) / REPORT
    if not path.exists():
        executed = next(each for each in executed_by_profiles(queries) if each.profile == profile)
        with TemporaryDirectory(dir=folder) as draft:
            Documents(queries, queries.catalog, Path(draft)).write(executed)
            _keep(Path(draft), folder)
    return path


def _keep(draft: Path, folder: Path) -> None:
    """Move what was written whole to where it is looked for."""
    for path in draft.iterdir():
        path.replace(folder / path.name)
