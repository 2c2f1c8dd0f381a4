"""Findings from the store agree with its views, and errors say what there is instead."""

from __future__ import annotations

import pytest

from otel_coverage import catalog
from otel_coverage.errors import StoreError
from otel_coverage.reporting.asking import find
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.reporting.project import PLACE, SPANS, fill
from tests.support.spans import TracedSpan, insert_spans


def test_findings_say_what_the_views_say(store: Store, tree: SourceTree) -> None:
    fill(store, tree)
    found = find(store)
    matrix = store.query("SELECT profile, symbol FROM coverage_matrix ORDER BY profile, module, line").rows
    assert [(name, symbol.id) for name in sorted(found.hits) for symbol in found.hits[name]] == matrix
    index = store.query("SELECT symbol, profiles FROM symbol_profiles ORDER BY module, line").rows
    assert [(symbol.id, list(profiles)) for symbol, profiles in found.profiles_of.items()] == index
    gaps = store.query("SELECT symbol, kind FROM coverage_gaps ORDER BY module, line").rows
    assert [(gap.symbol.id, gap.kind) for gap in found.gaps] == gaps
    modules = store.query("SELECT module, functions_covered, functions_total FROM module_gaps ORDER BY module").rows
    assert sorted((m.module, m.functions_covered, m.functions_total) for m in found.modules) == modules
    leaders = store.query(
        "SELECT profile, functions, functions_covered, functions_total, runs, requests, jobs, complete "
        "FROM profile_leaderboard ORDER BY profile"
    ).rows
    assert [
        (
            profile.name,
            len(found.hits[profile.name]),
            found.functions_covered(profile.name),
            len(found.functions),
            profile.runs,
            profile.requests,
            profile.jobs,
            profile.complete,
        )
        for profile in found.profiles
    ] == leaders


def test_findings_hold_the_lines_of_every_profile(store: Store, tree: SourceTree) -> None:
    fill(store, tree)
    assert find(store).lines == {
        "browse": {"shop/orders.py": {8, 28, 29, 30}},
        "checkout": {"shop/orders.py": {8, 12, 14, 15, 16, 28, 29, 30}, "shop/jobs.py": {2}},
    }


def test_one_service_may_be_asked_for(store: Store, tree: SourceTree) -> None:
    fill(store, tree)
    worker = find(store, services=["worker"])
    assert {name: [symbol.id for symbol in symbols] for name, symbols in worker.hits.items()} == {
        "checkout": ["shop.jobs:mail@1"]
    }
    assert worker.lines == {"checkout": {"shop/jobs.py": {2}}}
    assert worker.services == ("worker",)
    both = find(store, services=["worker", "web"])
    assert both == find(store)
    assert both.services == ("web", "worker")
    with pytest.raises(StoreError, match="no coverage of service 'nobody' at that revision; it has web, worker"):
        find(store, services=["nobody"])


def test_the_newest_revision_with_coverage_is_meant_when_none_is_named(store: Store, tree: SourceTree) -> None:
    old, newer = SPANS[0].but(revision="zzz", second=0), SPANS[0].but(revision="aaa", id="s9", second=9)
    fill(store, tree, [newer, old])
    catalog.push(store, catalog.build(tree), "pushed-but-never-traced")
    assert find(store).revision == "aaa"
    assert find(store, revision="zzz").revision == "zzz"
    with pytest.raises(StoreError, match="no coverage of revision 'pushed-but-never-traced'; it has aaa, zzz"):
        find(store, revision="pushed-but-never-traced")


def test_coverage_without_a_revision_can_be_told_too(store: Store) -> None:
    insert_spans(store, TracedSpan(revision="", functions=PLACE, second=1))
    assert find(store).revision == ""
    insert_spans(store, TracedSpan(revision="abc", id="s2", functions=PLACE))
    assert find(store).revision == "abc"


def test_namespaces_are_kept_apart(store: Store) -> None:
    insert_spans(store, TracedSpan(namespace="acme", functions=PLACE))
    assert len(find(store, namespace="acme").hits["checkout"]) == 3
    with pytest.raises(StoreError, match="there is some in namespace 'acme'; --namespace chooses"):
        find(store)


def test_an_empty_store_says_what_to_do_first(store: Store) -> None:
    with pytest.raises(StoreError, match="no coverage; play a profile against a traced application first"):
        find(store)


def test_a_playback_of_an_application_that_is_not_traced_is_no_coverage_in_any_namespace(store: Store) -> None:
    insert_spans(store, TracedSpan(role="client"))
    with pytest.raises(StoreError, match="`otel-coverage doctor` says what is wired"):
        find(store)


def test_a_profile_that_failed_or_lost_coverage_is_doubtful(store: Store) -> None:
    insert_spans(
        store,
        TracedSpan(id="s1", profile="fine", functions=PLACE),
        TracedSpan(id="s2", trace="t2", profile="lost", functions=PLACE, complete=False, reason="greenlets"),
        TracedSpan(id="s3", trace="t3", profile="failed", functions=PLACE, parent="c3"),
        TracedSpan(id="r3", trace="t3", profile="failed", role="", outcome="failed", kind="Internal"),
        TracedSpan(id="c4", trace="t4", profile="missing", role="client", kind="Client", service="playback"),
        TracedSpan(id="s4", trace="t4", profile="missing", functions=PLACE, parent="elsewhere"),
    )
    found = find(store)
    assert not found.complete
    assert {profile.name: profile.incomplete_reasons for profile in found.doubtful} == {
        "failed": (), "lost": ("greenlets",), "missing": ("no span of the server arrived",),
    }  # fmt: skip
    assert [profile.failed_runs for profile in found.profiles if profile.name == "failed"] == [1]


def test_sql_in_names_is_data(store: Store) -> None:
    evil = "'; DROP TABLE coverage_spans; --"
    insert_spans(store, TracedSpan(revision=evil, namespace=evil, service=evil, profile=evil, functions=PLACE))
    found = find(store, revision=evil, namespace=evil, services=[evil])
    assert set(found.hits) == {evil}
