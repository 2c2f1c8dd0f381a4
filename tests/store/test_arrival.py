"""What the playback client is told of a run that has arrived, or has not."""

from __future__ import annotations

from otel_coverage.store import Store
from otel_coverage.store.arrival import Arrival, MissingCalls, wait_for_arrival
from tests.support.spans import TracedSpan, insert_spans

CLIENT = TracedSpan(role="client", kind="Client", name="GET", service="otel-coverage-playback", revision="")
SERVER = TracedSpan(functions=["shop:list_goods@3"])


def call(number: int, *, is_answered: bool) -> list[TracedSpan]:
    trace = f"t{number}"
    answer = [SERVER.but(id=f"s{number}", parent=f"c{number}", trace=trace)] if is_answered else []
    return [CLIENT.but(id=f"c{number}", trace=trace), *answer]


def test_a_run_of_which_all_arrived_is_not_waited_for(store: Store) -> None:
    insert_spans(store, *call(1, is_answered=True), *call(2, is_answered=True))
    assert wait_for_arrival(store, "r1", ["checkout"], timeout=60) == Arrival(frozenset({"checkout"}))


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
    arrival = wait_for_arrival(store, "r1", ["checkout"], timeout=0)
    assert arrival == Arrival(
        frozenset({"checkout"}), pending=(MissingCalls("checkout", "job", "schedule default", 1),)
    )


def test_a_job_of_a_job_is_waited_for_until_it_arrives(store: Store) -> None:
    queued = TracedSpan(id="p1", parent="s1", trace="t1", role="producer", kind="Producer", name="enqueue default")
    job = TracedSpan(id="j1", parent="p1", trace="t1", role="consumer", kind="Consumer", name="process default")
    queued_by_it = queued.but(id="p2", parent="j1")
    insert_spans(store, *call(1, is_answered=True), queued, queued_by_it, job)

    def arrive() -> None:
        insert_spans(store, job.but(id="j2", parent="p2"))

    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        arrive()

    arrival = wait_for_arrival(store, "r1", ["checkout"], timeout=600, pause=pause)
    assert arrival == Arrival(frozenset({"checkout"}))
    assert len(waited) == 1


def test_what_goes_on_after_its_span_is_waited_for_until_it_ends(store: Store) -> None:
    goes_on = SERVER.but(id="s1", parent="c1", trace="t1", attributes={"coverage.open": "true"})
    insert_spans(store, CLIENT.but(id="c1", trace="t1"), goes_on)
    arrival = wait_for_arrival(store, "r1", ["checkout"], timeout=0)
    assert arrival.unfinished == (MissingCalls("checkout", "request", "GET /", 1),)


def test_what_was_killed_is_not_waited_for(store: Store) -> None:
    begun = TracedSpan(id="b1", parent="c1", trace="t1", role="begun", attributes={"coverage.begun_role": "server"})
    insert_spans(store, CLIENT.but(id="c1", trace="t1"), begun)

    def pause(seconds: float) -> None:
        raise AssertionError("it waited")

    arrival = wait_for_arrival(store, "r1", ["checkout"], timeout=600, pause=pause)
    assert [calls.number for calls in arrival.missing] == [1]
