"""What the playback client is told of a run that has arrived, or has not."""

from __future__ import annotations

from otel_coverage.store import Store
from otel_coverage.store.arrival import MissingCalls, wait_for_arrival
from tests.support.spans import TracedSpan, insert_spans

CLIENT = TracedSpan(role="client", kind="Client", name="GET", service="otel-coverage-playback", revision="")
SERVER = TracedSpan(functions=["shop:list_goods@3"])


def call(number: int, *, is_answered: bool) -> list[TracedSpan]:
    trace = f"t{number}"
    answer = [SERVER.but(id=f"s{number}", parent=f"c{number}", trace=trace)] if is_answered else []
    return [CLIENT.but(id=f"c{number}", trace=trace), *answer]


def test_a_run_of_which_all_arrived_is_not_waited_for(store: Store) -> None:
    insert_spans(store, *call(1, is_answered=True), *call(2, is_answered=True))
    assert wait_for_arrival(store, "r1", ["checkout"], timeout=60) == (frozenset({"checkout"}), ())


def test_requests_and_jobs_that_did_not_arrive_are_counted_by_name(store: Store) -> None:
    job = TracedSpan(id="p1", parent="s1", trace="t1", role="producer", kind="Producer", name="enqueue default")
    insert_spans(store, *call(1, is_answered=True), *call(2, is_answered=False), *call(3, is_answered=False), job)
    arrival = wait_for_arrival(store, "r1", ["checkout", "browse"], timeout=0)
    assert arrival.profiles == {"checkout"}
    assert arrival.missing == (
        MissingCalls("checkout", "job", "enqueue default", 1),
        MissingCalls("checkout", "request", "GET", 2),
    )


def test_what_waits_for_its_time_and_what_belongs_to_other_runs_is_not_missing(store: Store) -> None:
    later = TracedSpan(id="p1", parent="s1", trace="t1", role="pending", kind="Producer", name="schedule default")
    other = [span.but(run="r2") for span in call(2, is_answered=False)]
    insert_spans(store, *call(1, is_answered=True), later, *other)
    assert wait_for_arrival(store, "r1", ["checkout"], timeout=0).missing == ()
