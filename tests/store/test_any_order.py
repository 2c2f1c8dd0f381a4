"""Parts of a long job arrive before the span that they belong to, and may be all that arrives."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from otel_coverage.store import Store
from tests.support.spans import TracedSpan, insert_spans

PLAYBACK = TracedSpan(id="root", role="", kind="Client", service="playback", outcome="passed")
ASKS = TracedSpan(id="asks", parent="root", role="client", kind="Client", service="playback", name="POST /orders")
ANSWERS = TracedSpan(id="answers", parent="asks", functions=["shop:order@1"], lines=["shop.py:1-2"])
ENQUEUES = TracedSpan(id="enqueues", parent="answers", role="producer", kind="Producer", name="enqueue default")
PERFORMS = TracedSpan(
    id="performs",
    parent="enqueues",
    role="consumer",
    kind="Consumer",
    service="worker",
    functions=["shop:pack@9"],
    lines=["shop.py:9-11"],
)
FIRST_PART = PERFORMS.but(
    id="p1", parent="performs", role="part", kind="Internal", functions=["shop:wrap@20"], lines=["shop.py:20-21"]
)
LAST_PART = FIRST_PART.but(id="p2", functions=["shop:label@30"], lines=["shop.py:30"])

ASKED = (
    "SELECT symbol FROM coverage_matrix ORDER BY symbol",
    "SELECT file, arraySort(groupUniqArrayArray(lines)) FROM coverage_lines GROUP BY file ORDER BY file",
    "SELECT kind, arrived, complete FROM run_completeness ORDER BY kind, arrived",
    "SELECT profile, outcome, requests, jobs, complete FROM profile_runs",
)


def answers(store: Store) -> list[list[tuple[Any, ...]]]:
    return [store.query(sql).rows for sql in ASKED]


@pytest.mark.parametrize(
    "order", itertools.permutations(["performs", "p1", "p2"]), ids=lambda order: " before ".join(order)
)
def test_the_views_answer_the_same_whatever_arrives_first(order: tuple[str, ...], store: Store) -> None:
    job = {span.id: span for span in (PERFORMS, FIRST_PART, LAST_PART)}
    for name in order:
        insert_spans(store, job[name])
    insert_spans(store, ENQUEUES, ANSWERS, ASKS, PLAYBACK)
    symbols, lines, completeness, runs = answers(store)
    assert symbols == [("shop:label@30",), ("shop:order@1",), ("shop:pack@9",), ("shop:wrap@20",)]
    assert lines == [("shop.py", [1, 2, 9, 10, 11, 20, 21, 30])]
    assert completeness == [("job", True, True), ("request", True, True)]
    assert runs == [("checkout", "passed", 1, 1, True)]


def test_parts_alone_count_and_leave_the_run_incomplete(store: Store) -> None:
    insert_spans(store, FIRST_PART, LAST_PART)
    insert_spans(store, ENQUEUES, ANSWERS, ASKS, PLAYBACK)
    symbols, _, completeness, runs = answers(store)
    assert symbols == [("shop:label@30",), ("shop:order@1",), ("shop:wrap@20",)]
    assert completeness == [("job", False, False), ("request", True, True)]
    assert runs == [("checkout", "passed", 1, 0, False)]


def test_a_part_that_is_all_that_arrived_of_a_profile_is_in_the_reverse_index(store: Store) -> None:
    insert_spans(store, FIRST_PART)
    assert store.query("SELECT symbol, profiles FROM symbol_profiles").rows == [("shop:wrap@20", ["checkout"])]
    assert store.query("SELECT profile, functions, complete FROM profile_leaderboard").rows == [("checkout", 1, False)]
