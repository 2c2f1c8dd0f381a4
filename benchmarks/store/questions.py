"""The queries about a night: for each view what a report or a dashboard asks it, and whole lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from otel_coverage.store.named_queries import Value, named_query


@dataclass(frozen=True, slots=True)
class Question:
    """A named query with its parameters.

    Attributes:
        view: the view whose main question it is; empty for a question without a bar.
        query: the named query.
        parameters: those that have no default, or another value.
    """

    view: str
    query: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def bound(self) -> tuple[str, dict[str, Value]]:
        """The statement and the values of its parameters."""
        named = named_query(self.query)
        return named.sql, named.bind({"revision": "night", **self.parameters})


QUESTIONS = (
    Question("coverage_matrix", "matrix", {"profile": "profile-007"}),
    Question("symbol_profiles", "reverse-index", {"module": "shop.package3.module66"}),
    Question("coverage_gaps", "gaps"),
    Question("module_gaps", "modules"),
    Question("run_completeness", "incomplete"),
    Question("profile_runs", "runs"),
    Question("profile_leaderboard", "leaderboard"),
    Question("module_leaderboard", "module-leaderboard"),
    Question("profile_overlap", "overlap"),
    Question("profile_unique", "unique"),
    Question("entry_points", "entry-points"),
    Question("symbol_entry_points", "symbol-entry-points", {"module": "shop.package3.module66"}),
    Question("entry_point_gaps", "entry-point-gaps"),
    Question("", "catalog"),
    Question("", "kept", {"chosen": "profile-001,profile-002,profile-003"}),
    Question("", "redundancy"),
    Question("", "risk", {"base": "night"}),
    Question("", "reverse-index"),
    Question("", "matrix"),
)

# with an evening of as many pairs in the store, eight of its profiles in two runs
OF_TWO = (
    Question("revision_diff", "diff", {"base": "evening"}),
    Question("symbol_flakiness", "flakiness", {"revision": "evening"}),
)
