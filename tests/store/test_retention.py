from __future__ import annotations

from typing import Any

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Store, retention, windows
from otel_coverage.store.folding import fold
from otel_coverage.store.named_queries import named_query
from otel_coverage.store.retention import Revision
from tests.support.spans import START, TABLES, TracedSpan, array, insert_catalog, insert_spans

KEPT = (*TABLES, "code_symbols")
FOLDED = ("coverage_unassigned", "coverage_assignments", "coverage_run_windows", "coverage_run_doubts")


ONE_ROUTE = array(['["request","GET","/","index",""]'], "otelcol")

STARTUP = TracedSpan(id="u0", trace="t3", profile="_startup", run="", role="startup", functions=["shop:g@5"])

ROUTES = TracedSpan(
    id="u2", trace="t5", profile="_startup", run="", role="routes", attributes={"coverage.routes": ONE_ROUTE}
)


def an_old_and_a_new_revision(store: Store) -> None:
    insert_catalog(store, {"qualname": "f", "line": 1}, revision="old")
    ran: dict[str, Any] = {"functions": ["shop:f@1"], "lines": ["shop.py:1"], "arcs": ["shop.py:-1/1/-1"]}
    insert_spans(
        store,
        TracedSpan(id="root", role="", outcome="passed", run="r0", revision="", service="playback"),
        TracedSpan(id="s0", run="r0", revision="old", second=-400 * 86_400, **ran),
        TracedSpan(id="s1", run="r1", **ran),
        STARTUP.but(second=-400 * 86_400, revision="old"),
        STARTUP.but(id="u1", trace="t4"),
        ROUTES.but(second=-400 * 86_400, revision="old"),
        ROUTES.but(id="u3"),
    )


def revisions_in(store: Store, table: str) -> set[str]:
    return {name for (name,) in store.query(f"SELECT DISTINCT revision FROM {table}").rows}


def test_coverage_outlives_the_spans_that_it_came_from(store: Store) -> None:
    an_old_and_a_new_revision(store)
    retention.keep(store, spans=1, coverage=10_000)
    store.command("OPTIMIZE TABLE otel_traces FINAL")
    assert store.query("SELECT count() FROM otel_traces").rows == [(0,)]
    assert store.query("SELECT count() FROM coverage_matrix").rows == [(2,)]


def test_coverage_is_dropped_when_it_is_older_than_it_is_kept(store: Store) -> None:
    an_old_and_a_new_revision(store)
    (days,) = (each.days for each in retention.revisions(store) if each.name == "abc")
    retention.keep(store, coverage=days + 100)
    for table in KEPT:
        store.command(f"OPTIMIZE TABLE {table} FINAL")
    for table in (
        "coverage_functions",
        "coverage_lines",
        "coverage_arcs",
        "coverage_by_symbol",
        "coverage_startup",
        "code_routes",
    ):
        assert revisions_in(store, table) == {"abc"}
    assert revisions_in(store, "coverage_spans") == revisions_in(store, "coverage_runs") == {"abc", ""}
    assert store.query("SELECT count() FROM otel_traces").rows == [(7,)]


def test_tables_that_are_kept_for_ever_have_no_ttl(store: Store) -> None:
    def with_ttl() -> set[str]:
        rows = store.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine_full LIKE '% TTL %'"
        ).rows
        return {name for (name,) in rows}

    assert with_ttl() == set()
    retention.keep(store, spans=30, coverage=400)
    assert with_ttl() == {"otel_traces", *KEPT, *FOLDED}
    retention.keep(store)
    assert with_ttl() == {"otel_traces", *KEPT, *FOLDED}
    retention.keep(store, spans=0, coverage=0)
    assert with_ttl() == set()
    retention.keep(store, spans=0, coverage=0)


def test_the_inverted_index_names_a_profile_as_long_as_others_of_its_run_are_kept(store: Store) -> None:
    old = TracedSpan(id="s1", profile="order", functions=["shop:f@1"], second=-400 * 86_400)
    insert_spans(store, old, old.but(id="s2", profile="browse", second=0), old.but(id="s3", run="r0"))
    (days,) = (each.days for each in retention.revisions(store))
    retention.keep(store, coverage=days + 100)
    for table in TABLES:
        store.command(f"OPTIMIZE TABLE {table} FINAL")
    assert store.query("SELECT run, arraySort(profiles) FROM coverage_by_symbol").rows == [("r1", ["browse", "order"])]
    assert store.query("SELECT profile FROM coverage_matrix").rows == [("browse",)]
    assert store.query("SELECT profile FROM profile_leaderboard").rows == [("browse",)]


def test_a_ttl_that_would_overflow_is_refused(store: Store) -> None:
    an_old_and_a_new_revision(store)
    with pytest.raises(ConfigurationError, match="36500 days: ClickHouse's times end in 2106"):
        retention.keep(store, spans=36_500)
    assert store.query("SELECT count() FROM otel_traces").rows == [(7,)]


def test_a_pruned_revision_is_gone_with_the_playbacks_own_spans_of_its_runs(store: Store) -> None:
    an_old_and_a_new_revision(store)
    retention.prune(store, [each for each in retention.revisions(store) if each.name == "old"])
    assert [revisions_in(store, table) for table in KEPT] == [*[{"abc"}] * 10, set()]
    assert [each.name for each in retention.revisions(store)] == ["abc"]


def test_windows_and_what_was_folded_go_with_their_runs(store: Store) -> None:
    asks = TracedSpan(run="", functions=["shop:f@1"], lines=["shop.py:1"])
    for run, begins in (("kept", 3), ("pruned", 1_003)):  # just after their requests, which is doubtful
        for kind, at in (("begin", START + begins), ("end", START + begins + 100)):
            said = ("checkout", run, kind, at * 10**6, "passed" if kind == "end" else "", "ci")
            store.insert(windows.TABLE, windows.COLUMNS, [said])
    insert_spans(store, asks, asks.but(trace="t2", revision="old", second=1_000))
    fold(store)
    retention.prune(store, [Revision("", "old", 0)])
    for table in ("coverage_run_windows", "coverage_assignments", "coverage_run_doubts"):
        assert store.query(f"SELECT DISTINCT run FROM {table} WHERE run != ''").rows == [("kept",)], table
    assert revisions_in(store, "coverage_unassigned") == {"abc"}
    assert store.query("SELECT run FROM profile_runs").rows == [("kept",)]
    assert fold(store).traces == 0


def test_a_name_with_sql_in_it_prunes_nothing_else(store: Store) -> None:
    an_old_and_a_new_revision(store)
    retention.prune(store, [Revision("", "' OR 1 = 1 --", 0)])
    assert revisions_in(store, "coverage_functions") == {"old", "abc"}


def test_the_sizes_of_the_tables_can_be_queried(store: Store) -> None:
    an_old_and_a_new_revision(store)
    sizes = {row["table"]: row for row in store.query(named_query("tables").sql).records()}
    assert sizes["coverage_functions"]["rows"] == 2
    assert sizes["code_symbols"]["parts"] == 1
    assert all(row["megabytes_uncompressed"] >= 0 for row in sizes.values())
    assert set(KEPT) < set(sizes)


@pytest.mark.parametrize("days", [0, 1])
def test_revisions_have_an_age(store: Store, days: int) -> None:
    insert_spans(store, TracedSpan(functions=["shop:f@1"]))
    store.command(
        "INSERT INTO coverage_runs (revision, last_seen) SELECT 'new', now64(9) - {days:UInt32} * 86400", {"days": days}
    )
    assert retention.revisions(store)[0] == Revision("", "new", days)
