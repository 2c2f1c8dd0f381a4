"""``summary.md``: the report on one page, for a CI job's summary."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from otel_coverage.reporting.artifacts import timestamp
from otel_coverage.reporting.data_files import without_lines
from otel_coverage.reporting.queries import RevisionQueries, doubts
from otel_coverage.slug import is_slug
from otel_coverage.store.formats import printable

_MODULES_SHOWN = 10
_NAMES_SHOWN = 5
_MARKUP = re.compile(r"([\\`*_{}\[\]#+!|~$])")

FILES = (
    ("matrix.json", "which functions each profile executes (matrix.csv: with times and an example trace)"),
    ("reverse-index.json", "which profiles execute each function (also .csv)"),
    ("gaps.json", "what no profile executes (also .csv)"),
    ("leaderboard.json", "the table above (also .csv)"),
    ("redundancy.json", "what each profile adds to the others, and a small set that executes as much as all"),
    ("symbols.json", "all functions and classes of the source"),
    ("<profile>.coverage", "a profile's lines, for `coverage report --data-file`, `coverage html`, `coverage combine`"),
)


def notes(queries: RevisionQueries, unresolved: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Sentences about what this report could not do.

    Args:
        queries: what the report reads.
        unresolved: executed files that the source tree does not have.
    """
    listed = {
        "Not in the source tree, so in no data file": unresolved,
        "Recorded by function alone, so without a data file": without_lines(queries),
        "Recorded in part without branches, so with lines alone": tuple(
            profile for profile, whole in queries.branches.items() if not whole
        ),
        "Not a valid profile name, so without a data file": tuple(
            row["profile"] for row in queries.profiles if not is_slug(row["profile"])
        ),
    }
    found = [f"{what}: {_listed(names)}." for what, names in listed.items() if names]
    if not queries.has_catalog:
        found.insert(
            0,
            "No catalog was pushed for this revision, so nothing is known about gaps and shares: "
            "`otel-coverage catalog push` at this revision, then report again.",
        )
    return tuple(found)


def summary(queries: RevisionQueries, notes: tuple[str, ...] = ()) -> str:
    """The page's text."""
    parts = [
        f"# Coverage of revision {_code(queries.revision or 'unknown')}\n",
        _warning(queries),
        "".join(f"> {_text(note)}\n\n" for note in notes),
        "\n\n".join(_sentences(queries)) + "\n",
        "## Profiles\n\n" + _profiles(queries),
        "## Largest gaps\n\n" + _gaps(queries),
        "## Files\n\n" + "".join(f"- {_code(name)}: {what}\n" for name, what in FILES),
    ]
    return "\n".join(part for part in parts if part)


def share(percent: float | None) -> str:
    """A percentage as it is shown."""
    return f"{percent} %" if percent is not None else "–"


def _warning(queries: RevisionQueries) -> str:
    if queries.complete:
        return ""
    found = ((row["profile"], doubts(row)) for row in queries.profiles)
    lines = "".join(f"> - {_code(profile)}: {_text(doubt)}\n" for profile, doubt in found if doubt)
    warning = "Coverage of these profiles is missing; they may execute more than this page says:"
    return f"> **Incomplete.** {warning}\n>\n{lines}"


def _sentences(queries: RevisionQueries) -> Iterator[str]:
    totals = queries.totals
    profiles = f"{len(queries.profiles)} profile{'s' if len(queries.profiles) != 1 else ''}"
    if queries.has_catalog:
        yield (
            f"{profiles} together: {totals['functions_covered']} of "
            f"{_of(totals['functions_total'], totals['percent'])} functions, "
            f"{totals['lines_covered']} of {_of(totals['lines_total'], totals['lines_percent'])} lines."
        )
    else:
        yield f"{profiles} together: {totals['functions']} functions."
    yield f"Services: {', '.join(map(_code, queries.services))}. Newest span: {timestamp(queries.newest_span)}."


def _profiles(queries: RevisionQueries) -> str:
    rows = (
        (
            row["position"],
            _code(row["profile"]),
            row["functions"],
            share(row["percent"]),
            row["lines_covered"],
            share(row["lines_percent"]),
            row["requests"],
            row["jobs"],
            row["runs"],
            "**no**" if doubts(row) else "yes",
        )
        for row in queries.leaderboard
    )
    head = ("#", "profile", "functions", "of all", "lines", "of all", "requests", "jobs", "runs", "complete")
    return _table(head, rows)


def _gaps(queries: RevisionQueries) -> str:
    modules = [row for row in queries.modules if row["functions_covered"] < row["functions_total"]]
    if not modules:
        return "None.\n" if queries.has_catalog else "Unknown without a catalog.\n"
    rows = (
        (
            _code(row["module"]),
            row["functions_total"] - row["functions_covered"],
            row["functions_total"],
            share(row["lines_percent"]),
        )
        for row in modules[:_MODULES_SHOWN]
    )
    table = _table(("module", "functions never executed", "functions", "lines covered"), rows)
    rest = len(modules) - _MODULES_SHOWN
    return f"{table}\n{rest} more in gaps.json.\n" if rest > 0 else table


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---" if name in ("profile", "module") else "---:" for name in head], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _of(whole: int, percent: float | None) -> str:
    return f"{whole} ({percent} %)" if percent is not None else f"{whole}"


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(map(repr, names[:_NAMES_SHOWN]))
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown


def _code(name: str) -> str:
    """A name in a monospaced font, or as escaped text where a code span cannot hold it."""
    return f"`{name}`" if name.isprintable() and name.strip() and not re.search("[`|]", name) else _text(name)


def _text(text: str) -> str:
    """Text with the special characters of Markdown and HTML escaped."""
    return _MARKUP.sub(r"\\\1", html.escape(printable(text), quote=False))
