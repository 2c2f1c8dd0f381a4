"""``summary.md``: the report on one page, for a CI job's summary."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from otel_coverage.printable import counted, listed, printable
from otel_coverage.reporting.caveats import caveats
from otel_coverage.reporting.changes.comparison import Comparison
from otel_coverage.reporting.changes.sentences import sentences
from otel_coverage.reporting.contents import Contents
from otel_coverage.reporting.lost_runs import quoted
from otel_coverage.reporting.packages import packages_with_gaps
from otel_coverage.reporting.profiles.executed import without_lines
from otel_coverage.reporting.profiles.writer import NOTHING, ProfileFiles
from otel_coverage.reporting.queries import RevisionQueries, doubts
from otel_coverage.reporting.times import timestamp
from otel_coverage.revision import UNKNOWN

LINES = 100
"""How many lines the page has at most."""

_PACKAGES_SHOWN = 10
_MODULES_SHOWN = 5  # of a package
_FEWEST_ROWS = 5  # of a table, where there are as many
_PROBLEMS_SHOWN, _DOUBTS_SHOWN, _NOTES_SHOWN = 4, 6, 5
_NO_CONTENTS = Contents()
_MARKUP = re.compile(r"([\\`*_{}\[\]#+!|~$])")

FILES = (
    ("index.html", "all of this, for people: one page that works from disk"),
    ("matrix.json", "which functions each profile executes (.csv, .parquet: with times and an example trace)"),
    ("reverse-index.json", "which profiles execute each function (also .csv, .parquet)"),
    ("gaps.json", "what no profile executes (also .csv, .parquet)"),
    ("entry-points.json", "routes, jobs and commands: what runs under them, which none reaches (also .csv, .parquet)"),
    ("history.json", "coverage, completeness and duration of the last revisions (also .csv)"),
    ("diff.json", "what changed since the baseline (also .csv)"),
    ("leaderboard.json", "the table above (also .csv)"),
    ("redundancy.json", "what each profile adds to the others, and a small set that executes as much as all"),
    ("symbols.json", "all functions and classes of the source"),
    ("<profile>/report.json", "what one profile executes: functions, lines, entry points"),
    (
        "<profile>.coverage",
        "its lines, and all.coverage those of all: `coverage report --rcfile coveragerc --data-file …`",
    ),
    (
        "html/index.html",
        "coverage.py's pages, with the profiles of each line; <profile>/html/ has those of one profile",
    ),
)


def notes(queries: RevisionQueries, written: ProfileFiles = NOTHING) -> tuple[str, ...]:
    """Sentences about what is not in this report, the most important first.

    Args:
        queries: what the report reads.
        written: what was written for each profile.
    """
    affected = {
        "Selected, but without coverage at this revision": queries.selection.absent,
        f"Left out, since they began before {queries.selection.since} and ended after it": tuple(
            f"run {run}" for run in queries.selection.straddling
        ),
        "Not in the source tree, or with a name that is not UTF-8, so in no data file": written.unresolved,
        "Recorded by function alone, so without a data file": without_lines(queries),
        "Recorded in part without branches, so with lines alone": tuple(
            profile for profile, whole in queries.branches.items() if not whole
        ),
    }
    found = [f"{what}: {quoted(names)}." for what, names in affected.items() if names]
    return (*queries.problems, *_remarks(queries), *written.notes, *found)


def _remarks(queries: RevisionQueries) -> Iterator[str]:
    if queries.revision == UNKNOWN:
        yield (
            "The application named no revision, so this may be of several states of its code: "
            "set OTEL_RESOURCE_ATTRIBUTES=vcs.ref.head.revision=REV where it starts."
        )
    if not queries.has_catalog:
        at = (
            " --revision unknown`, from the source that was traced"
            if queries.revision == UNKNOWN
            else "` at this revision"
        )
        yield (
            "No catalog was pushed for this revision, so nothing is known about gaps and shares: "
            f"`otel-coverage catalog push{at}, then report again."
        )
    yield from caveats(queries)
    played = {row["profile"] for row in queries.leaderboard}
    before = [row for row in queries.absent if row["profile"] in played]  # an earlier run at this revision did
    if before:
        newest, last = before[0]["newest_run"], before[0]["last_run"]
        names = quoted([row["profile"] for row in before])
        yield f"Run {newest!r}, the newest, did not play what run {last!r} did: {names}."
    if queries.outside_window:
        yield (
            "Requests that began just outside of the windows of these profiles count as within them, as clocks may "
            f"differ: {quoted(queries.outside_window)}."
        )
    repeated = [row["profile"] for row in queries.profiles if row["counted_runs"] < row["runs"]]
    if repeated:
        yield f"Runs that failed do not count beside others of their profile: {quoted(repeated)}."


def summary(
    queries: RevisionQueries,
    notes: tuple[str, ...] = (),
    comparison: Comparison | None = None,
    contents: Contents = _NO_CONTENTS,
    overhead: str = "",
) -> str:
    """The page's text, of at most :data:`LINES` lines.

    Args:
        queries: about the revision.
        notes: sentences about what the report could not do.
        comparison: what changed since the baseline; None without one.
        contents: what the report has.
        overhead: a sentence about what tracing costs; empty where that was not measured.
    """
    profiles, gaps = _profile_rows(queries), _gap_rows(queries)
    shown = [len(profiles), len(gaps)]
    while True:
        parts = [
            f"# Coverage of revision {_code(queries.revision or 'unknown')}\n",
            _warning(queries),
            _notes([note for note in notes if note not in queries.problems]),
            "\n\n".join([*_sentences(queries), *([_text(overhead)] if overhead else [])]) + "\n",
            "" if comparison is None else _changes(comparison),
            "## Profiles\n\n" + _profiles(profiles, shown[0]),
            "## Largest gaps\n\n" + _gaps(queries, gaps[: shown[1]]),
            _files(comparison is not None, contents),
        ]
        text = "\n".join(part for part in parts if part)
        excess = text.count("\n") - LINES
        longest = shown.index(max(shown))
        if excess <= 0 or shown[longest] <= _FEWEST_ROWS:
            return text
        shown[longest] -= 1


def _files(has_comparison: bool, contents: Contents) -> str:
    """What the other files are; nothing where only some were asked for."""
    if contents.only:
        return ""
    absent = {
        name for name, is_there in (("diff.json", has_comparison), ("html/index.html", contents.html)) if not is_there
    }
    return "## Files\n\n" + "".join(f"- {_code(name)}: {what}\n" for name, what in FILES if name not in absent)


def _notes(notes: Sequence[str]) -> str:
    shown = [*map(_text, notes[:_NOTES_SHOWN])]
    if len(notes) > len(shown):
        shown.append(f"{len(notes) - len(shown)} more such notes in index.html.")
    return "".join(f"> {note}\n\n" for note in shown)


def selected(queries: RevisionQueries) -> str:
    """Which runs and profiles the figures are of."""
    chosen = queries.selection
    runs = counted(queries.run_count, "run")
    if not chosen:
        return f"Of all runs at this revision: {runs}."
    parts = [f"since {_text(chosen.since)}"] if chosen.since else []
    parts += [
        f"{what} {listed(map(_code, names))}"
        for what, names in (("runs", chosen.runs), ("profiles", chosen.profiles))
        if names
    ]
    return f"**Selected:** {'; '.join(parts)}. Of these, {runs} at this revision."


def number(count: int | None) -> str:
    """A count as it is shown."""
    return "–" if count is None else str(count)


def share(percent: float | None) -> str:
    """A percentage as it is shown."""
    return f"{percent} %" if percent is not None else "–"


def _warning(queries: RevisionQueries) -> str:
    if queries.complete:
        return ""
    found = [f"- {_code(row['profile'])}: {_text(doubt)}" for row in queries.profiles if (doubt := doubts(row))]
    warnings = [*map(_text, queries.problems[:_PROBLEMS_SHOWN])]
    if len(queries.problems) > _PROBLEMS_SHOWN:
        warnings.append(f"{len(queries.problems) - _PROBLEMS_SHOWN} more such problems in leaderboard.json.")
    if found:
        more = len(found) - _DOUBTS_SHOWN
        lines = [*found[:_DOUBTS_SHOWN], *([f"- {more} more in leaderboard.json"] if more > 0 else [])]
        of = "Coverage of these profiles is missing; they may execute more than this page says:"
        warnings.append("\n> ".join([f"{of}\n>", *lines]))
    return "> **Incomplete.** " + "\n>\n> ".join(warnings) + "\n"


def _sentences(queries: RevisionQueries) -> Iterator[str]:
    totals = queries.totals
    profiles = counted(len(queries.profiles), "profile")
    if queries.has_catalog:
        yield (
            f"{profiles} together: {totals['functions_covered']} of "
            f"{_of(totals['functions_total'], totals['percent'])} functions, "
            f"{totals['lines_covered']} of {_of(totals['lines_total'], totals['lines_percent'])} lines."
        )
    else:
        yield f"{profiles} together: {totals['functions']} functions."
    if queries.has_catalog:
        yield (
            "Lines and shares are of the statements inside functions. `coverage report` on a data file covers as many, "
            "of a larger total: it has the statements outside of them, too, which only imports run."
        )
    yield selected(queries)
    yield f"Services: {', '.join(map(_code, queries.services))}. Newest span: {timestamp(queries.newest_span)}."


def _changes(comparison: Comparison) -> str:
    lines = "".join(f"- {_text(sentence)}\n" for sentence in sentences(comparison))
    return f"## Since {_code(comparison.base.revision or 'unknown')}\n\n{lines}"


_PROFILE = ("#", "profile", "functions", "of all", "lines", "of all", "requests", "jobs", "runs", "complete")


def _profile_rows(queries: RevisionQueries) -> list[tuple[bool, tuple[object, ...]]]:
    """A row for each profile, and whether its figures are certain; those that are not come first."""
    rows = (
        (
            not doubts(row),
            (
                row["position"],
                _code(row["profile"]),
                row["functions"],
                share(row["percent"]),
                number(row["lines_covered"]),
                share(row["lines_percent"]),
                row["requests"],
                row["jobs"],
                row["runs"] if row["runs"] == row["counted_runs"] else f"{row['counted_runs']} of {row['runs']}",
                "**no**" if doubts(row) else "yes",
            ),
        )
        for row in queries.leaderboard
    )
    return sorted(rows, key=lambda row: row[0])


def _profiles(rows: Sequence[tuple[bool, tuple[Any, ...]]], shown: int) -> str:
    ranked = sorted((row for _, row in rows[:shown]), key=lambda row: row[0])
    more = f"\n{len(rows) - shown} more in leaderboard.json.\n" if len(rows) > shown else ""
    return _table(_PROFILE, ranked) + more


def _gap_rows(queries: RevisionQueries) -> list[tuple[bool, tuple[object, ...]]]:
    """A row for each package and its largest modules, and whether it is a module's."""
    rows: list[tuple[bool, tuple[object, ...]]] = []
    for package in packages_with_gaps(queries.modules)[:_PACKAGES_SHOWN]:
        if not package.is_module:
            rows.append((False, (f"**{_code(package.name)}** and its modules", *_gap(queries, package.row))))
        rows += [
            (True, (_code(module["module"]), *_gap(queries, module))) for module in package.modules[:_MODULES_SHOWN]
        ]
    return rows


def _gaps(queries: RevisionQueries, shown: Sequence[tuple[bool, tuple[object, ...]]]) -> str:
    if not shown:
        return "None.\n" if queries.has_catalog else "Unknown without a catalog.\n"
    head = ("module", "functions no profile executes", "at start only", "functions", "lines covered")
    table = _table(head, [row for _, row in shown])
    modules = sum(len(package.modules) for package in packages_with_gaps(queries.modules))
    rest = modules - sum(is_module for is_module, _ in shown)
    more = f"\n{rest} more in gaps.json.\n" if rest > 0 else ""
    return f"{_uncertain(queries)}{table}{more}\n{_at_startup(queries)}\n"


def _uncertain(queries: RevisionQueries) -> str:
    """What failed or lost coverage is no evidence that anything is uncovered."""
    if queries.complete:
        return ""
    doubtful = [row["profile"] for row in queries.profiles if doubts(row)]
    of = f" of {listed(map(_code, doubtful))}" if doubtful else ""
    return f"**None of these is certain**: coverage{of} is missing, so each may have been executed.\n\n"


def _at_startup(queries: RevisionQueries) -> str:
    """What is known of the functions that are gaps because no profile can reach them: they run before any."""
    if not queries.totals["startup_recorded"]:
        return (
            "Functions that only run when a process starts are among them; `OTEL_COVERAGE_STARTUP=1` tells them apart."
        )
    at_startup = queries.totals["functions_at_startup"]
    never = queries.totals["functions_total"] - queries.totals["functions_covered"] - at_startup
    return (
        f"{at_startup} of these functions run at start only (`at_startup` in gaps.json); "
        f"{never} ran neither in a profile nor at start."
    )


def _gap(queries: RevisionQueries, row: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        row["functions_total"] - row["functions_covered"],
        row["functions_at_startup"] if queries.totals["startup_recorded"] else "–",
        row["functions_total"],
        share(row["lines_percent"]),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---" if name in ("profile", "module") else "---:" for name in head], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _of(whole: int, percent: float | None) -> str:
    return f"{whole} ({percent} %)" if percent is not None else f"{whole}"


def _code(name: str) -> str:
    """A name in a monospaced font, or as escaped text where a code span cannot hold it."""
    return f"`{name}`" if name.isprintable() and name.strip() and not re.search("[`|]", name) else _text(name)


def _text(text: str) -> str:
    """Text with the special characters of Markdown and HTML escaped."""
    return _MARKUP.sub(r"\\\1", html.escape(printable(text), quote=False))
