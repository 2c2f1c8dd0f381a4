"""The page's data about a baseline: what `web/src/data/changes.ts` reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from otel_coverage.reporting.changes.code import CHANGED, NEW, UNCHANGED
from otel_coverage.reporting.changes.comparison import GAINED, LOST, Comparison, Difference
from otel_coverage.reporting.page.blocks import Numbers, Sets, json_block
from otel_coverage.reporting.times import timestamp

# of a symbol: what became of its text, and of who executes it
_CODE = {UNCHANGED: 1, CHANGED: 2, NEW: 3}
_CHANGE = {GAINED: 4, LOST: 8}
_UNCERTAIN = 16

_TOTALS = (
    "functions",
    "functions_covered",
    "functions_total",
    "percent",
    "lines_covered",
    "lines_total",
    "lines_percent",
)


def baseline_head(comparison: Comparison) -> dict[str, Any]:
    """What the first view needs of it."""
    base = comparison.base
    return {
        "revision": base.revision,
        "selection": base.selection.document,
        "newest_span": timestamp(base.newest_span),
        "complete": base.complete,
        "catalog": comparison.code.known,
        "totals": {name: base.totals[name] for name in _TOTALS} if base.has_catalog else None,
        "counts": comparison.counts,
    }


def add_changes(columns: Numbers, comparison: Comparison, symbols: Iterable[str]) -> None:
    """Add the column that says of each symbol what became of it."""
    changes = {
        each.symbol: _CHANGE.get(each.difference.change, 0) | (0 if each.difference.certain else _UNCERTAIN)
        for each in comparison.functions
    }
    codes = comparison.code.states
    columns.add("symbol.change", [_CODE.get(codes.get(symbol, ""), 0) | changes.get(symbol, 0) for symbol in symbols])


def changes_block(comparison: Comparison, sets: Sets, symbols: Sequence[str], profiles: Mapping[str, int]) -> bytes:
    """Who gained and lost what; functions that the page has by number, others by name."""
    numbers = {symbol: number for number, symbol in enumerate(symbols)}

    def named(names: Iterable[str]) -> int:
        return sets.number(profiles[name] for name in names if name in profiles)

    def who(difference: Difference) -> list[int]:
        return [named(difference.gained_by), named(difference.lost_by), named(difference.unknown)]

    return json_block(
        {
            "functions": [
                [numbers[each.symbol], *who(each.difference), each.lines_gained, each.lines_lost, each.lines_unknown]
                for each in comparison.functions
                if each.symbol in numbers
            ],
            "gone": [
                [each.symbol, each.code, each.difference.certain]
                for each in comparison.functions
                if each.symbol not in numbers
            ],
            "entry_points": [
                {
                    "service": each.service,
                    "kind": each.kind,
                    "name": each.entry_point,
                    "exists": each.exists,
                    "is_new": each.is_new,
                    "change": each.difference.change,
                    "certain": each.difference.certain,
                    "who": who(each.difference),
                }
                for each in comparison.entry_points
            ],
            "profiles": [asdict(each) for each in comparison.profiles],
        }
    )
