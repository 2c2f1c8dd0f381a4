"""What the views say of jobs that wait, are cancelled, or are tried again."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from otel_coverage.store import Store
from otel_coverage.store.folding import fold
from tests.support.spans import TracedSpan, insert_spans

ANSWERS = TracedSpan(id="answers", name="POST /orders", functions=["shop:order@1"])
ENQUEUES = TracedSpan(id="enqueues", parent="answers", role="producer", kind="Producer", name="enqueue default")
SCHEDULES = ENQUEUES.but(id="schedules", role="pending", name="schedule default")
RELEASES = ENQUEUES.but(id="releases", parent="schedules", service="worker")
PERFORMS = TracedSpan(
    id="performs",
    parent="enqueues",
    role="consumer",
    kind="Consumer",
    service="worker",
    name="process default",
    functions=["shop:pack@9"],
)
CANCELS = TracedSpan(id="cancels", role="cancelled", kind="Client", service="web", name="cancel default")
TRIES_AGAIN = ENQUEUES.but(id="again", parent="enqueues", service="worker")

JOBS = "SELECT name, arrived, complete, pending, span FROM run_completeness WHERE kind = 'job' ORDER BY span"
RUN = "SELECT requests, jobs, missing, pending, complete FROM profile_runs"


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return store.query(sql).rows


def test_a_job_that_waits_is_pending_and_its_run_complete(store: Store) -> None:
    insert_spans(store, ANSWERS, SCHEDULES)
    assert rows(store, JOBS) == [("schedule default", False, True, True, "schedules")]
    assert rows(store, RUN) == [(1, 0, 0, 1, True)]


def test_a_job_that_was_queued_when_its_time_came_is_missing_until_it_arrives(store: Store) -> None:
    insert_spans(store, ANSWERS, SCHEDULES, RELEASES)
    assert rows(store, JOBS) == [("enqueue default", False, False, False, "releases")]
    assert rows(store, RUN) == [(1, 0, 1, 0, False)]
    insert_spans(store, PERFORMS.but(parent="releases"))
    assert rows(store, JOBS) == [("enqueue default", True, True, False, "performs")]
    assert rows(store, RUN) == [(1, 1, 0, 0, True)]


def test_a_job_that_something_untraced_queued_when_its_time_came_answers_itself(store: Store) -> None:
    insert_spans(store, ANSWERS, SCHEDULES, PERFORMS.but(parent="schedules"))
    assert rows(store, JOBS) == [("schedule default", True, True, False, "performs")]
    assert rows(store, RUN) == [(1, 1, 0, 0, True)]


def test_a_job_that_is_scheduled_again_is_pending_once(store: Store) -> None:
    insert_spans(store, ANSWERS, SCHEDULES, SCHEDULES.but(id="later", parent="schedules"))
    assert rows(store, JOBS) == [("schedule default", False, True, True, "later")]


@pytest.mark.parametrize("call", [ENQUEUES, SCHEDULES], ids=["queued", "scheduled"])
@pytest.mark.parametrize("run", ["r1", ""])
def test_a_job_that_was_cancelled_is_neither_missing_nor_pending(run: str, call: TracedSpan, store: Store) -> None:
    insert_spans(store, *(span.but(run=run) for span in (ANSWERS, call, CANCELS.but(parent=call.id))))
    fold(store)
    assert rows(store, JOBS) == []
    assert rows(store, RUN) == [(1, 0, 0, 0, True)]


def test_an_attempt_that_never_arrived_is_missing_though_the_next_one_succeeded(store: Store) -> None:
    insert_spans(store, ANSWERS, ENQUEUES, TRIES_AGAIN, PERFORMS.but(parent="again"))
    assert rows(store, JOBS) == [
        ("enqueue default", False, False, False, "enqueues"),
        ("enqueue default", True, True, False, "performs"),
    ]
    assert rows(store, RUN) == [(1, 1, 1, 0, False)]


def test_an_attempt_that_failed_and_is_tried_again_later_is_complete_and_pending(store: Store) -> None:
    insert_spans(store, ANSWERS, ENQUEUES, PERFORMS, SCHEDULES.but(parent="enqueues", service="worker"))
    assert rows(store, RUN) == [(1, 1, 0, 1, True)]


def test_the_views_say_the_same_in_whatever_order_calls_and_answers_arrive(store: Store) -> None:
    insert_spans(store, ANSWERS)
    for order in itertools.permutations([SCHEDULES, RELEASES, PERFORMS.but(parent="releases")]):
        run = f"run {'-'.join(span.id for span in order)}"
        for span in order:
            insert_spans(store, span.but(run=run, trace=run))
    found = rows(store, "SELECT jobs, missing, pending, complete FROM profile_runs WHERE run != 'r1'")
    assert found == [(1, 0, 0, True)] * 6
