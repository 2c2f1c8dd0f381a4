"""Which revision, namespace and services are asked about, and what errors say there is instead."""

from __future__ import annotations

import pytest

from otel_coverage import catalog
from otel_coverage.errors import ConfigurationError, StoreError
from otel_coverage.reporting.queries import RevisionQueries, doubts, select_revision
from otel_coverage.source import SourceTree
from otel_coverage.store import Store, batches
from tests.reporting.conftest import Compared, Reported
from tests.reporting.project import PLACE, SPANS, fill
from tests.support.spans import TracedSpan, insert_spans


def test_what_a_report_derives_itself_is_what_the_named_queries_say(compared: Compared, reported: Reported) -> None:
    for shared in (compared, reported):
        found = select_revision(shared.store, revision=shared.report.queries.revision)
        gaps = found.ask("gaps").records()
        assert gaps != []
        assert [{key: row.get(key, "") for key in gaps[0]} for row in found.gaps] == [
            {**row, "package": ""} for row in gaps
        ]
        assert found.redundancy == found.ask("redundancy").records()
        assert [found.totals] == found.ask("totals").records()
        index, names = found.ask("reverse-index").records(), found.executed.profiles
        assert found.executed.symbols == [row["symbol"] for row in index]
        assert [[names[each] for each in numbers] for numbers in found.executed.by_symbol] == [
            row["profiles"] for row in index
        ]


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


def test_a_damaged_record_of_the_collectors_log_is_a_problem_of_what_was_recorded_before(store: Store) -> None:
    insert_spans(store, TracedSpan(functions=PLACE))
    assert select_revision(store).problems == ()
    batches.note(store, "lost", "log:1", first=1, last=2, detail="x.log, bytes 0 to 9: 2 exports are damaged")
    (problem,) = select_revision(store).problems
    assert problem == (
        "The collector's log, x.log, bytes 0 to 9: 2 exports are damaged: of which runs they were is not known."
    )
    insert_spans(store, TracedSpan(functions=PLACE, revision="later", second=40 * 365 * 86_400))
    assert select_revision(store, revision="later").problems == ()


def incomplete(queries: RevisionQueries) -> dict[str, list[str]]:
    return {row["profile"]: row["incomplete_reasons"] for row in queries.profiles if not row["complete"]}


def test_the_newest_revision_with_coverage_is_meant_when_none_is_named(store: Store, tree: SourceTree) -> None:
    old, newer = SPANS[0].but(revision="zzz", second=0), SPANS[0].but(revision="aaa", id="s9", second=9)
    fill(store, tree, [newer, old])
    catalog.push(store, catalog.build(tree), "pushed-but-never-traced")
    assert select_revision(store).revision == "aaa"
    assert select_revision(store, revision="zzz").revision == "zzz"
    with pytest.raises(ConfigurationError, match="no coverage of revision 'pushed-but-never-traced'; it has aaa, zzz"):
        select_revision(store, revision="pushed-but-never-traced")


@pytest.mark.parametrize("named", ["", "unknown"])
def test_coverage_without_a_revision_is_of_a_revision_of_its_own(store: Store, tree: SourceTree, named: str) -> None:
    fill(store, tree, [SPANS[0].but(id="s0", second=0, profile="older")])
    insert_spans(store, TracedSpan(revision=named, functions=PLACE[:1], second=1))
    newest = select_revision(store)
    assert (newest.revision, [row["profile"] for row in newest.profiles]) == ("unknown", ["checkout"])
    assert len(newest.ask("matrix")) == 1
    assert select_revision(store, revision="unknown").leaderboard == newest.leaderboard
    assert [row["profile"] for row in select_revision(store, revision="abc").profiles] == ["older"]
    insert_spans(store, TracedSpan(revision="abc", id="s2", functions=PLACE, second=2))
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
    assert {row["profile"]: doubts(row).partition("; usually")[0] for row in found.profiles} == {
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


def test_profiles_that_were_not_asked_for_are_not_missed(store: Store, tree: SourceTree) -> None:
    fill(store, tree)
    expected = ["browse", "refund", "checkout-twice"]
    missed = select_revision(store, expected=expected).problems
    assert missed == ("Expected, and not played at this revision: 'checkout-twice', 'refund'.",)
    assert select_revision(store, expected=expected, profiles=["browse"]).problems == ()
    some = select_revision(store, expected=expected, profiles=["check*"])
    assert some.problems == ("Expected, and not played at this revision: 'checkout-twice'.",)
