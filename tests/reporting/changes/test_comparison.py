"""What profiles gained and lost, and what is not known of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from otel_coverage.reporting.changes.baseline import find_baseline
from otel_coverage.reporting.changes.comparison import Comparison, compare
from otel_coverage.reporting.changes.sentences import sentences
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import write_report
from otel_coverage.store import Store
from tests.reporting.conftest import Compared
from tests.reporting.nights import NEW, NEW_SPANS, OLD, OLD_SPANS, fill_both, push
from tests.support.spans import TracedSpan, insert_spans


def comparison_of(store: Store) -> Comparison:
    queries = select_revision(store, revision=NEW)
    baseline = find_baseline(queries, OLD)
    assert baseline is not None
    return compare(queries, baseline)


def functions(found: Comparison) -> dict[str, Any]:
    return {each.qualname: each for each in found.functions}


def changes(found: Comparison) -> dict[str, tuple[str, bool, str]]:
    return {each.qualname: (each.difference.change, each.difference.certain, each.code) for each in found.functions}


@pytest.fixture
def found(compared: Compared) -> Comparison:
    assert compared.report.comparison is not None
    return compared.report.comparison


def test_functions_are_compared_by_name_wherever_they_stand(found: Comparison) -> None:
    assert changes(found) == {
        "Order.cancel": ("lost", True, "unchanged"),
        "Order.total": ("", True, "unchanged"),
        "invoice": ("gained", True, "new"),
        "refund": ("lost", True, "removed"),
        "ship": ("lost", False, "changed"),  # admin, which executed it too, was not played
    }
    assert functions(found)["Order.cancel"].difference.lost_by == ("browse",)
    assert functions(found)["invoice"].difference.gained_by == ("checkout",)
    assert functions(found)["ship"].difference.unknown == ("admin",)
    assert functions(found)["refund"].symbol == "orders:refund@11"


def test_lines_are_compared_where_the_text_is_the_same_and_move_with_it(found: Comparison) -> None:
    assert functions(found)["Order.total"].lines_lost == (6,)  # line 4 at the time
    assert functions(found)["Order.cancel"].lines_lost == (10,)
    assert [each.qualname for each in found.functions if each.lines_gained] == []
    assert found.counts["lines_lost"] == 2


def test_new_and_changed_code_is_told_apart_by_whether_something_runs_it(found: Comparison) -> None:
    assert [(each.qualname, each.code, each.run, each.lines, each.lines_run) for each in found.code_changes] == [
        ("place", "changed", True, 2, 2),
        ("ship", "changed", False, 1, 0),
        ("invoice", "new", True, 1, 1),
        ("audit", "new", False, 1, 0),
    ]
    assert found.counts["removed"] == 1


def test_each_profile_has_what_it_gained_and_lost(found: Comparison) -> None:
    figures = {
        each.profile: (each.status, each.functions_gained, each.functions_lost, each.lines_lost)
        for each in found.profiles
    }
    assert figures == {
        "admin": ("not played", None, None, None),
        "browse": ("compared", 0, 2, 1),
        "checkout": ("compared", 1, 1, 1),
    }


def test_a_route_that_no_profile_reaches_any_more_is_lost(found: Comparison) -> None:
    assert [(each.entry_point, each.difference.change, each.difference.gained_by) for each in found.entry_points] == [
        ("GET /cancel", "lost", ()),
        ("GET /place", "", ("browse",)),
    ]


def test_nothing_is_lost_where_coverage_of_the_later_night_is_missing(store: Store, tmp_path: Path) -> None:
    fill_both(store, tmp_path)
    incomplete = NEW_SPANS[1].but(id="n3", trace="n3", functions=[], complete=False, reason="spans_lost")
    insert_spans(store, incomplete)
    found = comparison_of(store)
    assert changes(found)["Order.cancel"] == ("lost", False, "unchanged")
    assert functions(found)["Order.cancel"].difference.unknown == ("browse",)
    assert changes(found)["refund"] == ("lost", True, "removed")  # which nobody can execute
    browse = found.profiles[1]
    assert (browse.functions_gained, browse.functions_lost, browse.lines_lost) == (0, None, None)
    assert browse.functions_unknown == 2
    assert browse.reason.startswith("now: ")
    assert found.profiles[2].functions_lost == 1  # checkout is complete
    assert [each.certain for each in found.code_changes if not each.run] == [False, False]
    assert any("What is not executed is not certain" in sentence for sentence in sentences(found))
    assert (found.counts["functions_lost"], found.counts["lines_lost"], found.counts["entry_points_lost"]) == (1, 0, 0)


def test_a_gain_is_certain_where_the_earlier_night_was_complete_or_the_code_is_new(
    store: Store, tmp_path: Path
) -> None:
    fill_both(store, tmp_path)
    insert_spans(store, OLD_SPANS[0].but(id="o4", trace="o4", functions=[], complete=False, reason="spans_lost"))
    insert_spans(store, NEW_SPANS[0].but(id="n4", trace="n4", functions=["orders:Order.cancel@9"], lines=[]))
    found = comparison_of(store)
    assert functions(found)["Order.cancel"].difference.unknown == ("checkout",)
    assert changes(found)["invoice"] == ("gained", True, "new")
    assert (found.profiles[2].functions_gained, found.profiles[2].functions_lost) == (None, 1)


def test_without_a_catalog_nothing_is_said_of_the_code(store: Store, tmp_path: Path) -> None:
    push(store, tmp_path / "old", OLD)
    insert_spans(store, *OLD_SPANS, *NEW_SPANS)
    found = comparison_of(store)
    assert {each.code for each in found.functions} == {"unknown"}
    assert [found.counts[name] for name in ("lines_lost", "new_not_run", "changed_run", "removed")] == [None] * 4
    assert found.counts["functions_lost"] == 2


def test_functions_alone_leave_lines_unknown(store: Store, tmp_path: Path) -> None:
    fill_both(store, tmp_path)
    alone: TracedSpan = NEW_SPANS[1].but(id="n5", trace="n5", profile="alone", lines=[])
    insert_spans(store, alone)
    found = comparison_of(store)
    assert functions(found)["Order.total"].lines_unknown == (6,)
    assert functions(found)["Order.total"].lines_lost == ()


def test_a_comparison_of_an_earlier_report_does_not_stay(store: Store, tmp_path: Path) -> None:
    tree = fill_both(store, tmp_path)
    queries = select_revision(store)
    report = write_report(queries, tree, tmp_path / "out", baseline=find_baseline(queries, OLD))
    assert {"diff.json", "diff.csv"} < set(report.files)
    write_report(queries, tree, tmp_path / "out")
    assert not list((tmp_path / "out").glob("diff.*"))
