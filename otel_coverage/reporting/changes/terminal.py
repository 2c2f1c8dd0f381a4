"""A comparison as tables, for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from otel_coverage.printable import printable
from otel_coverage.reporting.changes.comparison import GAINED, LOST, Comparison, FunctionChange
from otel_coverage.reporting.changes.lines import ranges
from otel_coverage.reporting.changes.sentences import sentences
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.store import Result
from otel_coverage.store.table import as_table

_SHOWN = 20  # rows of a table
_PROFILE = (
    "profile",
    "status",
    "functions",
    "gained",
    "lost",
    "unknown",
    "lines gained",
    "lines lost",
    "why unknown",
)


def text(comparison: Comparison, width: int | None, shown: int | None = _SHOWN) -> str:
    """The tables, with a heading.

    Args:
        comparison: what to show.
        width: of the terminal; None for as wide as the tables are.
        shown: how many rows of each table at most; None for all.
    """
    head = f"{_what(comparison.now)} compared with {_what(comparison.base)}\n"
    said = "".join(f"{printable(sentence)}\n" for sentence in sentences(comparison))
    tables = (
        _table(columns, list(rows), width, shown)
        for columns, rows in (
            (_PROFILE, _profiles(comparison)),
            (("lost function", "code", "by", "certain"), _functions(comparison, LOST)),
            (("gained function", "code", "by", "certain"), _functions(comparison, GAINED)),
            (("function", "lines gained", "lines lost", "lines unknown"), _lines(comparison)),
            (("code that nothing runs", "change", "lines", "at start", "certain"), _not_run(comparison)),
            (("entry point", "service", "change", "by", "certain"), _entry_points(comparison)),
        )
    )
    return "\n".join(part for part in (head + said, *tables) if part)


def _what(queries: RevisionQueries) -> str:
    runs = f", runs {', '.join(queries.selection.runs[:3])}" if queries.selection.runs else ""
    return f"{printable(queries.revision) or 'unknown'} ({queries.newest_span:%Y-%m-%d %H:%M} UTC{printable(runs)})"


def _table(columns: Sequence[str], rows: list[Sequence[object]], width: int | None, shown: int | None) -> str:
    if not rows:
        return ""
    rest = len(rows) - len(rows[:shown])
    more = f"{rest} more: --all shows them\n" if rest else ""
    return as_table(Result(tuple(columns), [tuple(row) for row in rows[:shown]]), width) + more


def _profiles(comparison: Comparison) -> Iterator[Sequence[object]]:
    for each in comparison.profiles:
        differs = each.functions_gained or each.functions_lost or each.lines_gained or each.lines_lost
        if differs or each.functions_unknown or each.reason or each.status != "compared":
            yield (
                each.profile,
                each.status,
                each.functions,
                each.functions_gained,
                each.functions_lost,
                each.functions_unknown,
                each.lines_gained,
                each.lines_lost,
                each.reason,
            )


def _functions(comparison: Comparison, change: str) -> Iterator[Sequence[object]]:
    for each in comparison.functions:
        if each.difference.change == change:
            yield each.symbol, each.code, _names(_who(each)), each.difference.certain


def _lines(comparison: Comparison) -> Iterator[Sequence[object]]:
    """Of functions that are executed at both: the others' lines all go with them."""
    for each in comparison.functions:
        lines = each.lines_gained, each.lines_lost, each.lines_unknown
        if not each.difference.change and any(lines):
            yield each.symbol, *map(ranges, lines)


def _who(each: FunctionChange) -> Iterable[str]:
    return each.difference.gained_by or each.difference.lost_by or each.difference.unknown


def _not_run(comparison: Comparison) -> Iterator[Sequence[object]]:
    for each in comparison.code_changes:
        if not each.run:
            yield each.symbol, each.code, each.lines, each.at_startup, each.certain


def _entry_points(comparison: Comparison) -> Iterator[Sequence[object]]:
    for each in comparison.entry_points:
        difference = each.difference
        if difference.change or each.is_new:
            gone = " (no longer there)" if each.exists is False else ""
            change = f"{difference.change}{gone}" if difference.change else "new, not reached"
            names = difference.gained_by or difference.lost_by or difference.unknown
            yield each.entry_point, each.service, change, _names(names), difference.certain


def _names(names: Iterable[str], shown: int = 3) -> str:
    known = list(names)
    return ", ".join(known[:shown]) + (f" and {len(known) - shown} more" if len(known) > shown else "")
