"""Which revision, namespace and services are asked about, and what errors say there is instead."""

from __future__ import annotations

import pytest

from otel_coverage import catalog
from otel_coverage.errors import StoreError
from otel_coverage.reporting.queries import RevisionQueries, doubts, select_revision
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.reporting.project import PLACE, SPANS, fill
from tests.support.spans import TracedSpan, insert_spans


def test_coverage_may_be_narrowed_to_some_services(store: Store, tree: SourceTree) -> None:
    fill(store, tree)
    worker = select_revision(store, services=["worker"])
    assert worker.services == ("worker",)
    assert [row[:2] for row in worker.ask("matrix").rows] == [("checkout", "shop.jobs:mail@1")]
    assert worker.ask("reverse-index").records()[0]["profiles"] == ["checkout"]
    assert worker.ask("executed-lines").rows == [("checkout", "shop/jobs.py", [2])]
    assert "shop.orders:place@27" in {row[0] for row in worker.ask("gaps").rows}
    assert [(row["profile"], row["functions"], row["requests"], row["jobs"]) for row in worker.leaderboard] == [
        ("checkout", 1, 0, 1),
        ("browse", 0, 0, 0),
    ]
    assert (worker.totals["functions_covered"], worker.totals["lines_covered"]) == (1, 1)
    assert [(row["module"], row["functions_covered"]) for row in worker.modules] == [
        ("shop.orders", 0),
        ("shop.jobs", 1),
    ]
    with pytest.raises(StoreError, match="no coverage of service 'nobody' at that revision; it has web, worker"):
        select_revision(store, services=["nobody"])


def test_naming_all_services_narrows_nothing(store: Store, tree: SourceTree) -> None:
    fill(store, tree)
    both = select_revision(store, services=["worker", "web"])
    assert both.services == ("web", "worker")
    assert not both.narrowed
    assert both.leaderboard == select_revision(store).leaderboard


def test_completeness_is_narrowed_to_the_services_too(store: Store) -> None:
    job = TracedSpan(id="j", role="consumer", service="worker", functions=PLACE, complete=False, reason="greenlets")
    lost = TracedSpan(id="p", profile="lost", trace="t2", role="producer", name="shop.mail")
    web = TracedSpan(id="s", functions=PLACE)
    insert_spans(store, web, job, lost, web.but(id="s2", profile="lost", trace="t2"))
    # which service would have performed a job that never arrived is not known, so it is missing for each
    reasons = {"lost": ["no_consumer_span"]}
    assert incomplete(select_revision(store)) == {"checkout": ["greenlets"], **reasons}
    assert incomplete(select_revision(store, services=["worker"])) == {"checkout": ["greenlets"], **reasons}
    assert incomplete(select_revision(store, services=["web"])) == reasons


def incomplete(queries: RevisionQueries) -> dict[str, list[str]]:
    return {row["profile"]: row["incomplete_reasons"] for row in queries.profiles if not row["complete"]}


def test_the_newest_revision_with_coverage_is_meant_when_none_is_named(store: Store, tree: SourceTree) -> None:
    old, newer = SPANS[0].but(revision="zzz", second=0), SPANS[0].but(revision="aaa", id="s9", second=9)
    fill(store, tree, [newer, old])
    catalog.push(store, catalog.build(tree), "pushed-but-never-traced")
    assert select_revision(store).revision == "aaa"
    assert select_revision(store, revision="zzz").revision == "zzz"
    with pytest.raises(StoreError, match="no coverage of revision 'pushed-but-never-traced'; it has aaa, zzz"):
        select_revision(store, revision="pushed-but-never-traced")


def test_coverage_without_a_revision_can_be_reported_too(store: Store) -> None:
    insert_spans(store, TracedSpan(revision="", functions=PLACE, second=1))
    assert select_revision(store).revision == ""
    insert_spans(store, TracedSpan(revision="abc", id="s2", functions=PLACE))
    assert select_revision(store).revision == "abc"


def test_namespaces_are_kept_apart(store: Store) -> None:
    insert_spans(store, TracedSpan(namespace="acme", functions=PLACE))
    assert len(select_revision(store, namespace="acme").ask("matrix")) == 3
    with pytest.raises(StoreError, match="namespaces with coverage: 'acme'; choose one with --namespace"):
        select_revision(store)


def test_an_empty_store_says_what_to_do_first(store: Store) -> None:
    with pytest.raises(StoreError, match="no coverage; play a profile against a traced application first"):
        select_revision(store)


def test_a_playback_of_an_application_that_is_not_traced_is_no_coverage_in_any_namespace(store: Store) -> None:
    insert_spans(store, TracedSpan(role="client"))
    with pytest.raises(StoreError, match="`otel-coverage doctor` says what is traced here"):
        select_revision(store)


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
    found = select_revision(store)
    assert not found.complete
    assert {row["profile"]: doubts(row) for row in found.profiles} == {
        "failed": "1 of 1 runs failed",
        "fine": "",
        "lost": "greenlets",
        "missing": "no span of the server arrived: GET /",
    }


def test_sql_in_names_is_data(store: Store) -> None:
    evil = "'; DROP TABLE coverage_spans; --"
    insert_spans(store, TracedSpan(revision=evil, namespace=evil, service=evil, profile=evil, functions=PLACE))
    insert_spans(store, TracedSpan(id="s2", revision=evil, namespace=evil, profile="order", functions=PLACE))
    found = select_revision(store, revision=evil, namespace=evil, services=[evil])
    assert {row[0] for row in found.ask("matrix").rows} == {evil}
