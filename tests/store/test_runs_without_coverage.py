"""What was played, or was to be expected, and is in no revision's coverage."""

from __future__ import annotations

from typing import Any

from otel_coverage.store import Store
from otel_coverage.store.named_queries import named_query
from tests.support.spans import TracedSpan, insert_spans

CALL = TracedSpan(role="client", kind="Client", service="playback", revision="", name="GET /cart")
ANSWER = TracedSpan(functions=["shop:f@1"])


def played(profile: str, run: str, second: int, **changes: Any) -> TracedSpan:
    """A request that was traced."""
    return ANSWER.but(id=f"{profile}{run}", trace=f"{profile}{run}", profile=profile, run=run, second=second, **changes)


def lost(profile: str, run: str, second: int, **changes: Any) -> TracedSpan:
    """A request of the playback client that no application answered for."""
    return CALL.but(id=f"{profile}{run}", trace=f"{profile}{run}", profile=profile, run=run, second=second, **changes)


def rows(store: Store, columns: str, view: str = "lost_runs") -> list[tuple[Any, ...]]:
    return store.query(f"SELECT {columns} FROM {view} ORDER BY ALL").rows


def answer(store: Store, name: str, *columns: str, **given: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in named_query(name).ask(store, given).records()]


def test_a_run_of_which_nothing_arrived_stands_beside_the_newest_revision(store: Store) -> None:
    older = played("buy", "r1", 0, revision="older")
    insert_spans(store, older, played("buy", "r2", 10), lost("buy", "r3", 20), lost("sell", "r3", 21))
    assert rows(store, "revision, profile, run, counted, missing") == [
        ("abc", "buy", "r3", True, 1),
        ("abc", "sell", "r3", True, 1),
    ]


def test_a_run_of_which_anything_arrived_is_not_lost(store: Store) -> None:
    insert_spans(store, played("buy", "r1", 0), lost("sell", "r1", 1))
    assert rows(store, "run") == []
    assert rows(store, "revision, profile, missing", "profile_runs") == [("abc", "buy", 0), ("abc", "sell", 1)]


def test_a_lost_run_does_not_count_once_its_profile_was_played_again(store: Store) -> None:
    insert_spans(store, played("buy", "r1", 0), lost("buy", "r2", 10), lost("sell", "r2", 10), played("buy", "r3", 20))
    assert rows(store, "profile, run, counted") == [("buy", "r2", False), ("sell", "r2", True)]
    assert answer(store, "lost-runs", "profile", "repeated") == [("buy", True), ("sell", False)]


def test_a_lost_run_is_of_no_revision_that_was_first_recorded_after_it(store: Store) -> None:
    insert_spans(store, played("buy", "r1", 0, revision="older"), lost("buy", "r2", 10), played("buy", "r3", 20))
    assert rows(store, "revision, run") == [("", "r2")]
    assert answer(store, "runs", "run") == [("r3",)]


def test_a_lost_run_stands_beside_nothing_where_nothing_was_ever_recorded(store: Store) -> None:
    insert_spans(store, lost("buy", "r1", 0))
    assert rows(store, "namespace, revision, run, counted") == [("", "", "r1", True)]
    assert answer(store, "runs", "run", "missing", "complete") == [("r1", 1, False)]
    assert answer(store, "incomplete", "run", "incomplete_reason") == [("r1", "no_server_span")]


def test_a_lost_run_belongs_to_the_namespaces_that_its_profile_was_recorded_in(store: Store) -> None:
    insert_spans(
        store,
        played("buy", "r1", 0, namespace="acme"),
        played("sell", "r1", 0, namespace="other"),
        lost("buy", "r2", 10),
        lost("new", "r2", 10),
        lost("sell", "r3", 10, namespace="acme"),
    )
    assert rows(store, "namespace, profile") == [
        ("acme", "buy"),
        ("acme", "new"),
        ("acme", "sell"),
        ("other", "new"),
    ]


def test_a_playback_client_that_names_a_revision_makes_its_run_no_less_lost(store: Store) -> None:
    insert_spans(store, played("buy", "r1", 0), lost("buy", "r2", 10, revision="abc"))
    assert rows(store, "revision, run, counted") == [("abc", "r2", True)]


def test_runs_and_incomplete_name_what_was_lost(store: Store) -> None:
    insert_spans(store, played("buy", "r1", 0), lost("buy", "r2", 10), lost("buy", "r2", 11).but(id="2", name="POST /"))
    columns = ("profile", "run", "requests", "missing", "incomplete_requests", "complete", "incomplete_reasons")
    assert answer(store, "runs", *columns) == [
        ("buy", "r1", 1, 0, 0, True, []),
        ("buy", "r2", 0, 2, 2, False, ["no_server_span"]),
    ]
    assert answer(store, "incomplete", "run", "kind", "name", "arrived", "incomplete_reason", "counted") == [
        ("r2", "request", "GET /cart", False, "no_server_span", True),
        ("r2", "request", "POST /", False, "no_server_span", True),
    ]
    (detail, _) = [detail for (detail,) in answer(store, "incomplete", "incomplete_detail")]
    assert detail.startswith("nothing of it arrived; usually the application was started without `otel-coverage run`")


def test_a_run_without_a_span_of_the_playback_client_is_not_known_to_be_complete(store: Store) -> None:
    root = TracedSpan(id="root", profile="buy", role="", service="playback", revision="", outcome="passed")
    insert_spans(store, root, played("buy", "r1", 0), played("buy", "r2", 10, parent="call"))
    assert rows(store, "run, outcome, complete, incomplete_requests, incomplete_reasons", "profile_runs") == [
        ("r1", "passed", True, 0, []),
        ("r2", "", False, 0, ["no_client_span"]),
    ]
    assert rows(store, "complete, requests, incomplete_reasons", "profile_leaderboard") == [
        (False, 2, ["no_client_span"])
    ]
    assert answer(store, "incomplete", "kind", "run", "incomplete_reason", "counted") == [
        ("run", "r2", "no_client_span", True)
    ]
    insert_spans(store, root.but(id="late", trace="t2", run="r2"))
    assert answer(store, "incomplete", "run") == []


def test_a_request_that_somebody_sent_by_hand_needs_no_playback_client(store: Store) -> None:
    root = TracedSpan(id="root", profile="buy", role="", service="playback", revision="", outcome="passed")
    insert_spans(
        store, root, played("buy", "r1", 0), played("buy", "by-hand", 10), played("other", "r1", 1, parent="x")
    )
    assert rows(store, "run, complete", "profile_runs WHERE profile = 'buy'") == [("by-hand", True), ("r1", True)]
    assert rows(store, "complete", "profile_runs WHERE profile = 'other'") == [(True,)]


def test_a_profile_that_the_newest_run_did_not_play_is_named(store: Store) -> None:
    nights = [played(profile, run, at) for run, at in (("r1", 0), ("r2", 10)) for profile in ("buy", "sell")]
    insert_spans(store, *nights[:3])
    named = ("sell", "r2", False, ["not_played"], ["run r1 played it, and the newest run, r2, did not"])
    columns = ("profile", "run", "complete", "incomplete_reasons", "incomplete_details")
    assert answer(store, "runs", *columns)[-1] == named
    assert answer(store, "incomplete", "kind", "name", "run", "incomplete_reason") == [
        ("profile", "sell", "r2", "not_played")
    ]
    insert_spans(store, nights[3])
    assert answer(store, "absent-profiles", "profile") == []


def test_a_profile_that_another_run_since_played_is_not_absent(store: Store) -> None:
    insert_spans(store, *[played(profile, "r1", 0) for profile in ("a", "b", "c")])
    insert_spans(store, *[played(profile, f"r-{profile}", at) for at, profile in enumerate(("a", "b"), 10)])
    assert rows(store, "profile, newest_run, last_run", "absent_profiles") == [("c", "r-b", "r1")]


def test_runs_that_have_no_profile_in_common_are_not_compared(store: Store) -> None:
    insert_spans(store, played("a", "r1", 0), played("b", "r2", 10))
    assert rows(store, "profile", "absent_profiles") == []


def test_the_run_before_may_be_of_another_revision(store: Store) -> None:
    insert_spans(
        store,
        *[played(profile, "r1", 0, revision="older") for profile in ("a", "b", "c")],
        *[played("a", "r2", 10), lost("b", "r2", 10)],
    )
    assert rows(store, "revision, profile", "absent_profiles") == [("abc", "c")]
    assert rows(store, "profile, missing", "profile_runs")[1] == ("a", 0)


def test_a_run_that_failed_and_of_which_nothing_arrived_does_not_count_beside_one_that_passed(store: Store) -> None:
    root = TracedSpan(id="root", profile="buy", role="", service="playback", revision="", kind="Internal")
    insert_spans(
        store,
        root.but(run="r1", outcome="failed"),
        lost("buy", "r1", 0),
        played("other", "r1", 1),
        root.but(run="r2", trace="t2", outcome="passed"),
        played("buy", "r2", 10),
    )
    assert rows(store, "run, outcome, counted", "profile_runs WHERE profile = 'buy'") == [
        ("r1", "failed", False),
        ("r2", "passed", True),
    ]
    columns = "complete, runs, failed_runs, counted_runs, requests"
    assert rows(store, columns, "profile_leaderboard WHERE profile = 'buy'") == [(True, 2, 1, 1, 1)]
    found = answer(store, "incomplete", "profile", "run", "kind", "counted")
    assert found == [("buy", "r1", "request", False), ("other", "r2", "profile", False)]
