"""What was lost on the way is said: by numbers, totals and announcements that did not travel with it."""

from __future__ import annotations

from typing import Any

import pytest

from otel_coverage.store import Store
from otel_coverage.store.named_queries import named_query
from tests.support.spans import TracedSpan, insert_spans

ONE, TWO = "1" * 16, "2" * 16  # processes

ENTRY = TracedSpan(id="entry", name="POST /orders", functions=["shop:f@1", "shop:g@5"], lines=["shop.py:1-3"])
PART = ENTRY.but(
    id="part", parent="entry", role="part", name="coverage.part", functions=["shop:h@9"], lines=["shop.py:9"]
)
CLIENT = TracedSpan(id="call", role="client", kind="Client", service="playback", revision="", name="POST /orders")
JOB = TracedSpan(id="job", parent="enqueue", role="consumer", kind="Consumer", service="worker", functions=["m:f@1"])
ENQUEUE = TracedSpan(id="enqueue", parent="entry", role="producer", kind="Producer", name="enqueue shop.mail")
BEGUN = TracedSpan(role="begun", id="begun", parent="call", name="POST /orders")
TOTALS = {
    "coverage.total_functions": "3",
    "coverage.total_lines": "4",
    "coverage.total_arcs": "0",
    "coverage.total_parts": "1",
}


def numbered(number: int, process: str = ONE, **changes: Any) -> TracedSpan:
    attributes = {"coverage.process": process, "coverage.number": str(number)}
    return ENTRY.but(id=f"{process[0]}{number}", attributes=attributes, **changes)


def counts(process: str = ONE, revision: str = "abc", **figures: int) -> TracedSpan:
    attributes = {"coverage.process": process, **{f"coverage.{name}": str(figure) for name, figure in figures.items()}}
    return TracedSpan(
        id=f"counts{process[0]}", trace="counts", role="counts", name="counts", revision=revision, attributes=attributes
    )


def steps(role: str, number: int, profile: str = "checkout", **changes: Any) -> TracedSpan:
    attributes = {"playback.steps": str(number)}
    span = CLIENT.but(id=f"{role}{profile}", trace=f"{role}{profile}", role=role, profile=profile, **changes)
    return span.but(name=role, attributes=attributes)


def lost(store: Store, columns: str = "kind, incomplete_reason, span") -> list[tuple[Any, ...]]:
    return store.query(f"SELECT {columns} FROM missing_coverage ORDER BY ALL").rows


def runs(store: Store, columns: str = "complete, missing, incomplete_reasons") -> list[tuple[Any, ...]]:
    return store.query(f"SELECT {columns} FROM profile_runs ORDER BY profile, run").rows


def test_a_recording_that_went_on_after_its_span_is_incomplete_until_its_closing_part_arrives(store: Store) -> None:
    goes_on = ENTRY.but(attributes={"coverage.open": "true"})
    insert_spans(store, goes_on)
    assert lost(store) == [("request", "not_closed", "entry")]
    assert runs(store) == [(False, 0, ["not_closed"])]
    insert_spans(store, PART.but(attributes={"coverage.closing": "true", **TOTALS}))
    assert lost(store) == []
    assert runs(store) == [(True, 0, [])]


@pytest.mark.parametrize("total", ["functions", "lines", "arcs", "parts"])
def test_totals_that_do_not_add_up_make_a_request_incomplete(store: Store, total: str) -> None:
    totals = {**TOTALS, f"coverage.total_{total}": "7"}
    insert_spans(store, ENTRY, PART.but(attributes={"coverage.closing": "true", **totals}))
    assert lost(store) == [("request", "parts_missing", "entry")]


def test_a_part_that_is_delivered_twice_is_counted_once(store: Store) -> None:
    spans = (ENTRY.but(attributes=TOTALS), PART)
    insert_spans(store, *spans)
    insert_spans(store, *spans)
    assert lost(store) == []
    insert_spans(store, PART.but(id="another", functions=["shop:i@19"], lines=[]))
    assert lost(store) == [("request", "parts_missing", "entry")]


@pytest.mark.parametrize(("partial", "reason"), [("true", "not_ended"), ("false", "no_entry_span")])
def test_parts_whose_span_never_arrived_are_a_loss(store: Store, partial: str, reason: str) -> None:
    insert_spans(store, ENTRY, PART.but(parent="elsewhere", attributes={"coverage.partial": partial}))
    assert lost(store) == [("part", reason, "elsewhere")]
    assert runs(store) == [(False, 0, [reason])]


def test_a_number_that_is_missing_below_the_highest_is_a_lost_request(store: Store) -> None:
    insert_spans(store, numbered(1), numbered(4), numbered(1, TWO))
    assert lost(store, "kind, incomplete_reason, reported_by, process") == [("run", "numbers_missing", "web", ONE)]
    assert runs(store, "requests, missing, complete") == [(3, 2, False)]
    insert_spans(store, numbered(2), numbered(3), numbered(3))
    assert runs(store, "requests, missing, complete") == [(5, 0, True)]


def test_what_a_process_counted_and_never_arrived_is_lost_though_nothing_of_it_did(store: Store) -> None:
    insert_spans(store, numbered(1), counts(recorded=3), counts(TWO, recorded=2))
    assert runs(store, "requests, missing, complete") == [(1, 4, False)]
    details = [detail for (detail,) in lost(store, "incomplete_detail")]
    assert f"process {ONE} of service web recorded 3 requests, jobs and processes, and 2 of them" in details[0]


def test_numbers_of_a_process_that_came_to_be_at_another_revision_go_on(store: Store) -> None:
    insert_spans(store, numbered(1), numbered(2, trace="t2"), numbered(3, trace="t3", revision="later"))
    insert_spans(store, counts(recorded=3, revision="later"))
    assert sorted(runs(store, "revision, missing, complete")) == [("abc", 0, True), ("later", 0, True)]
    insert_spans(store, numbered(5, trace="t5", revision="later"))
    assert sorted(runs(store, "revision, missing, complete")) == [("abc", 1, False), ("later", 1, False)]


def test_lost_requests_that_have_a_name_are_not_counted_again_by_number(store: Store) -> None:
    insert_spans(store, numbered(2, parent="call"), CLIENT, CLIENT.but(id="lost"))
    assert runs(store, "missing, incomplete_reasons") == [(1, ["no_server_span", "numbers_missing"])]


def test_spans_that_a_process_gave_up_make_its_runs_incomplete(store: Store) -> None:
    insert_spans(store, ENTRY, counts(recorded=0, dropped=5), counts(TWO, recorded=0))
    assert lost(store, "incomplete_reason, process") == [("dropped", ONE)]


def test_two_spans_under_one_id_are_both_kept_and_said(store: Store) -> None:
    insert_spans(store, ENTRY, ENTRY.but(functions=["shop:f@1"], lines=[]))
    insert_spans(store, ENTRY)
    assert store.query("SELECT function_count FROM coverage_spans FINAL ORDER BY 1").rows == [(1,), (2,)]
    assert runs(store, "requests, incomplete_reasons") == [(1, ["same_id"])]


def test_a_request_whose_process_was_killed_is_named_once(store: Store) -> None:
    begun = BEGUN.but(attributes={"coverage.process": ONE, "coverage.begun_role": "server"})
    insert_spans(store, CLIENT, begun)
    columns = "kind, name, incomplete_reason, reported_by, process, revision"
    assert lost(store, columns) == [("request", "POST /orders", "killed", "web", ONE, "abc")]
    assert runs(store, "revision, requests, missing, incomplete_reasons") == [("abc", 0, 1, ["killed"])]


def test_a_request_that_only_a_header_named_is_known_to_have_been_killed(store: Store) -> None:
    begun = BEGUN.but(parent="", attributes={"coverage.process": ONE, "coverage.begun_role": "server"})
    insert_spans(store, begun, numbered(1, trace="t2"))
    assert lost(store, "kind, name, incomplete_reason") == [("request", "POST /orders", "killed")]


def test_what_began_and_arrived_after_all_was_not_killed(store: Store) -> None:
    begun = BEGUN.but(attributes={"coverage.process": ONE, "coverage.begun_role": "server"})
    insert_spans(store, CLIENT, begun, numbered(1, parent="call"))
    assert lost(store) == []
    insert_spans(store, begun.but(id="first", attributes={"coverage.process": TWO, "coverage.begun_role": "server"}))
    assert lost(store, "incomplete_reason, process") == [("killed", TWO)]


def test_a_long_job_that_was_killed_is_one_loss_whatever_arrived_of_it(store: Store) -> None:
    process = {"coverage.process": TWO}
    part = PART.but(parent="job", service="worker", attributes={**process, "coverage.partial": "true"})
    insert_spans(store, ENTRY, ENQUEUE, part)
    assert ("part", "not_ended", "job") in lost(store)
    begun = JOB.but(id="begun", role="begun", functions=None, name="job 7")
    insert_spans(store, begun.but(attributes={**process, "coverage.begun_role": "consumer"}))
    assert lost(store) == [("job", "killed", "begun")]
    assert runs(store, "complete, missing, incomplete_requests, incomplete_reasons") == [(False, 1, 1, ["killed"])]
    assert store.query("SELECT kind, arrived FROM run_completeness ORDER BY ALL").rows == [
        ("job", False),
        ("request", True),
    ]


def test_a_job_whose_work_horse_was_killed_has_the_name_of_its_call(store: Store) -> None:
    begun = JOB.but(role="begun", functions=None, name="job 7")
    begun = begun.but(attributes={"coverage.process": TWO, "coverage.begun_role": "consumer"})
    insert_spans(store, ENTRY, ENQUEUE, begun)
    assert lost(store, "kind, name, incomplete_reason, reported_by, process") == [
        ("job", "enqueue shop.mail", "killed", "worker", TWO)
    ]


def test_a_job_whose_call_never_arrived_shows_that_something_is_lost(store: Store) -> None:
    insert_spans(store, JOB)
    assert lost(store) == [("job", "no_producer_span", "job")]
    assert runs(store) == [(False, 0, ["no_producer_span"])]
    insert_spans(store, ENQUEUE)
    assert lost(store) == []


def test_a_job_that_something_untraced_queued_answers_the_span_that_made_it(store: Store) -> None:
    insert_spans(store, ENTRY, JOB.but(parent="entry"))
    assert lost(store) == []


def test_a_planned_profile_of_which_nothing_came_is_missing_in_its_run(store: Store) -> None:
    insert_spans(store, steps("plan", 3), steps("plan", 2, "refund"), steps("played", 2, "refund"))
    insert_spans(store, ENTRY.but(parent="call"), CLIENT)
    found = lost(store, "profile, kind, incomplete_reason")
    assert found == [("checkout", "run", "not_reported"), ("refund", "run", "not_recorded")]
    insert_spans(store, steps("played", 1), steps("plan", 1))
    assert lost(store, "profile, incomplete_reason") == [
        ("checkout", "steps_not_played"),
        ("refund", "not_recorded"),
    ]


def test_a_request_of_the_playback_client_that_never_came_is_counted(store: Store) -> None:
    insert_spans(store, steps("plan", 3), steps("played", 3), ENTRY.but(parent="call"), CLIENT, CLIENT)
    assert lost(store, "incomplete_reason, incomplete_detail") == [
        (
            "steps_missing",
            "1 of 3 requests of the playback client arrived, so what the application did for the others is not known",
        )
    ]


def test_a_run_that_failed_need_not_have_played_all_of_its_steps(store: Store) -> None:
    root = CLIENT.but(id="root", role="", outcome="failed")
    insert_spans(store, steps("plan", 3), steps("played", 1), root, ENTRY.but(parent="call"), CLIENT)
    assert lost(store) == []


def test_a_planned_run_of_which_nothing_arrived_is_lost_as_a_whole(store: Store) -> None:
    insert_spans(store, ENTRY, steps("plan", 3, run="r2", second=60))
    found = named_query("incomplete").ask(store).records()
    assert [(row["run"], row["kind"], row["incomplete_reason"]) for row in found] == [
        ("r2", "request", "no_server_span")
    ]
