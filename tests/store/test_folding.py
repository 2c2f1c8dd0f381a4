"""Spans without a run id: each trace is in the run whose window holds its root, whatever comes first."""

from __future__ import annotations

import random
from typing import Any

import pytest

from otel_coverage.reporting.verification import verify
from otel_coverage.store import Store
from otel_coverage.store.folding import fold, unfolded, unfolded_profiles
from otel_coverage.store.folding.settings import FoldSettings
from otel_coverage.store.stored_spans import differences
from otel_coverage.store.windows import COLUMNS, TABLE
from tests.support.spans import START, TracedSpan, insert_spans

ASKS = TracedSpan(run="", functions=["shop:f@1"], lines=["shop.py:1-2"])
ENQUEUES = ASKS.but(id="p", parent="s1", role="producer", kind="Producer", functions=None, lines=(), second=1)
PERFORMS = ASKS.but(
    id="j", parent="p", role="consumer", service="worker", functions=["shop:j@5"], lines=["shop.py:5"], second=9000
)
RUNS = "SELECT run, evidence, outcome, requests, jobs, complete, incomplete_reasons FROM profile_runs ORDER BY run"
ASKED = (
    RUNS,
    "SELECT profile, symbol, first_seen, last_seen, exemplar_trace_id FROM coverage_matrix ORDER BY ALL",
    "SELECT run, qualname, arraySort(groupUniqArrayArray(profiles)) FROM coverage_by_symbol GROUP BY ALL ORDER BY ALL",
    "SELECT run, service, qualname FROM coverage_functions GROUP BY ALL ORDER BY ALL",
    "SELECT run, file, arraySort(groupUniqArrayArray(lines)) FROM coverage_lines GROUP BY ALL ORDER BY ALL",
    "SELECT run, kind, name, arrived, complete, trace, span FROM run_completeness ORDER BY ALL",
    "SELECT run, reason, found, detail FROM doubtful_runs ORDER BY ALL",
)

Said = tuple[str, str, str, int, str]  # profile, run, begin or end, second, outcome


def say(store: Store, *said: Said) -> None:
    rows = [(slug, run, kind, (START + second) * 10**6, outcome, "ci") for slug, run, kind, second, outcome in said]
    store.insert(TABLE, COLUMNS, rows)


def window(run: str, began: int, ended: int, outcome: str = "passed", slug: str = "checkout") -> tuple[Said, Said]:
    return (slug, run, "begin", began, ""), (slug, run, "end", ended, outcome)


def answers(store: Store) -> list[list[tuple[Any, ...]]]:
    return [store.query(sql).rows for sql in ASKED]


EVERYTHING: list[TracedSpan | Said] = [
    ASKS,
    ENQUEUES,
    PERFORMS,
    ASKS.but(trace="t2", second=100, functions=["shop:g@3"]),
    ASKS.but(trace="t3", second=1900, functions=["shop:f@1", "shop:h@7"]),
    ASKS.but(trace="t4", second=2000, profile="search"),
    ASKS.but(trace="t5", second=40_000),
    ASKS.but(trace="t6", second=86_400),
    *window("night-1", -10, 60),
    *window("night-2", 86_000, 86_500, "failed"),
    *window("night-3", 39_000, 40_050),
    *window("night-4", 39_990, 41_000),
]


@pytest.mark.parametrize("seed", range(2))
def test_any_order_of_spans_windows_and_folds_gives_the_same_answers(seed: int, store: Store) -> None:
    insert_spans(store, *(each for each in EVERYTHING if isinstance(each, TracedSpan)))
    say(store, *(each for each in EVERYTHING if isinstance(each, tuple)))
    fold(store)
    expected = answers(store)
    assert [(run.partition("-")[0] if "ambiguous" in run else run, evidence) for run, evidence, *_ in expected[0]] == [
        ("ambiguous", "window"),
        ("gap-20260101t000140", "gap"),
        ("gap-20260101t003140", "gap"),
        ("gap-20260101t003140", "gap"),
        ("night-1", "window"),
        ("night-2", "window"),
    ]
    for table in store.query(
        "SELECT DISTINCT table FROM system.parts WHERE database = currentDatabase() AND active"
        " AND table != 'coverage_schema'"
    ).rows:
        store.command(f"TRUNCATE TABLE {table[0]} SYNC")
    rng = random.Random(seed)
    shuffled = [*EVERYTHING, *rng.sample(EVERYTHING, 4)]  # some are delivered again
    rng.shuffle(shuffled)
    for each in shuffled:
        if isinstance(each, TracedSpan):
            insert_spans(store, each)
        else:
            say(store, each)
        if rng.random() < 0.2:
            fold(store)
    fold(store)
    assert answers(store) == expected
    assert fold(store).traces == 0


def test_a_job_that_runs_after_the_window_closed_belongs_to_its_trace(store: Store) -> None:
    insert_spans(store, PERFORMS)
    fold(store)
    insert_spans(store, ASKS, ENQUEUES)
    say(store, *window("night-1", -1, 20))
    fold(store)
    assert store.query(RUNS).rows == [("night-1", "window", "passed", 1, 1, True, [])]


def test_a_request_in_two_open_windows_is_in_neither_and_both_say_so(store: Store) -> None:
    say(store, ("checkout", "a", "begin", -10, ""), *window("b", -5, 50))
    insert_spans(store, ASKS, ASKS.but(trace="t2", second=-8), ASKS.but(trace="t3", second=-4))
    fold(store)
    found = {row[0]: row[1:] for row in store.query(RUNS).rows}
    own = next(run for run in found if run.startswith("ambiguous-"))
    assert found == {
        "a": ("window", "", 1, 0, False, ["ambiguous_window", "not_reported"]),
        own: ("window", "", 2, 0, False, ["ambiguous_window"]),
    }
    say(store, ("checkout", "a", "end", -6, "passed"))  # late, and then nothing is ambiguous
    fold(store)
    assert store.query(RUNS).rows == [
        ("a", "window", "passed", 1, 0, True, []),
        ("b", "window", "passed", 2, 0, True, []),
    ]


@pytest.mark.parametrize(
    ("said", "folded"),
    [
        pytest.param(window("night-2", 90, 110, slug="search"), [["search"]], id="a window"),
        pytest.param((ASKS.but(trace="t9", profile="search", second=1),), [["search"]], id="a span in a window"),
        pytest.param(
            (ASKS.but(trace="t9", profile="search", second=5_000),), [["search"], []], id="a span in no window"
        ),
    ],
)
def test_a_fold_is_of_the_profiles_that_something_came_of_and_of_all_where_sessions_may_change(
    said: tuple[TracedSpan | Said, ...], folded: list[list[str]], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(
        store,
        *window("night-1", -5, 20),
        ("checkout", "other", "begin", -1, ""),
        *window("night-1", -5, 20, slug="search"),
    )
    insert_spans(store, ASKS, ASKS.but(trace="t2", profile="search"))
    fold(store)
    before = store.query("SELECT * FROM doubtful_runs ORDER BY ALL").rows
    assert [(row[2], row[4]) for row in before] == [("checkout", "ambiguous_window")]
    asked: list[list[str]] = []
    query = Store.query

    def watched(self: Store, sql: str, parameters: dict[str, Any] | None = None) -> Any:
        if "held AS" in sql:
            asked.append((parameters or {})["only"])
        return query(self, sql, parameters)

    monkeypatch.setattr(Store, "query", watched)
    insert_spans(store, *(each for each in said if isinstance(each, TracedSpan)))
    say(store, *(each for each in said if isinstance(each, tuple)))
    fold(store)
    fold(store)  # which has nothing to do
    assert asked == folded
    assert store.query("SELECT * FROM doubtful_runs ORDER BY ALL").rows == before  # those of other profiles stay


def test_a_request_just_outside_of_a_window_is_of_it_and_that_is_said(store: Store) -> None:
    say(store, *window("night-1", 3, 20))
    insert_spans(store, ASKS)
    fold(store)
    assert store.query(RUNS).rows == [("night-1", "window", "passed", 1, 0, True, [])]
    assert store.query("SELECT reason, found FROM doubtful_runs").rows == [("outside_window", 1)]


def test_a_gap_and_the_clocks_difference_are_settings_of_the_store(empty_store_dsn: str) -> None:
    from otel_coverage.store import open_store, schema

    with open_store(empty_store_dsn) as store:
        schema.apply(store)
        FoldSettings.write(store, gap=60, skew=0)
        assert FoldSettings.of(store) == FoldSettings(gap=60, skew=0)
        say(store, *window("night-1", 3, 20))
        insert_spans(store, ASKS, ASKS.but(trace="t2", second=70))
        fold(store)
        assert [row[:2] for row in store.query(RUNS).rows] == [
            ("gap-20260101t000000", "gap"),
            ("gap-20260101t000110", "gap"),
        ]


def test_a_number_that_is_missing_between_two_nights_of_a_process_is_missing_in_both(store: Store) -> None:
    def numbered(number: int, second: int) -> TracedSpan:
        said = {"coverage.process": "aa", "coverage.number": str(number)}
        return ASKS.but(trace=f"t{number}", second=second, attributes=said)

    insert_spans(store, numbered(1, 0), numbered(2, 10), numbered(3, 86_400))
    fold(store)
    assert [row[-2:] for row in store.query(RUNS).rows] == [(True, []), (True, [])]
    insert_spans(store, numbered(5, 86_410), numbered(7, 2 * 86_400))
    fold(store)
    assert [row[-2:] for row in store.query(RUNS).rows] == [
        (True, []),
        (False, ["numbers_missing"]),
        (False, ["numbers_missing"]),
    ]


def test_a_damaged_record_is_doubtful_in_each_run_of_its_application_at_that_time(store: Store) -> None:
    damage = TracedSpan(
        profile="_damaged", run="", trace="d", id="d", role="counts", functions=None, lines=(), second=100
    )
    named = TracedSpan(run="named", profile="search", functions=["shop:f@1"], lines=["shop.py:1-2"])
    insert_spans(store, ASKS, damage, named.but(second=110), named.but(run="later", trace="t9", second=2_000))
    fold(store)
    doubtful = "SELECT profile, run, incomplete_reasons FROM profile_runs WHERE NOT complete ORDER BY ALL"
    expected = [("checkout", "gap-20260101t000000", ["damaged_record"]), ("search", "named", ["damaged_record"])]
    assert store.query(doubtful).rows == expected
    insert_spans(store, named.but(run="late", trace="t8", second=130))  # what comes after that was found, and elsewhere
    insert_spans(store, named.but(run="elsewhere", trace="t7", namespace="other", second=110))
    fold(store)
    assert store.query(doubtful).rows == [*expected[:1], ("search", "late", ["damaged_record"]), *expected[1:]]
    (detail,) = store.query("SELECT incomplete_details[1] FROM profile_runs WHERE run = 'named'").rows[0]
    assert detail.startswith("1 record of the spool of service web was damaged while it was played")


def test_spans_that_come_late_to_a_trace_are_said_until_they_are_folded(store: Store) -> None:
    say(store, *window("night-1", -10, 60))
    insert_spans(store, ASKS)
    fold(store)
    assert (unfolded(store, "", "abc"), unfolded_profiles(store, "night-1")) == ([], [])
    insert_spans(store, PERFORMS)
    assert (unfolded(store, "", "abc"), unfolded(store, "", "other")) == (["checkout"], [])
    (finding,) = [each for each in verify(store, "night-1").findings if each.reason == "not_folded"]
    assert (finding.profile, finding.kind) == ("checkout", "store")
    fold(store)
    assert (unfolded(store, "", "abc"), unfolded_profiles(store, "night-1")) == ([], [])


def test_what_a_run_lacks_of_its_raw_spans_is_found(store: Store) -> None:
    say(store, *window("night-1", -10, 60))
    insert_spans(store, ASKS)
    fold(store)
    assert list(differences(store, "night-1")) == []
    store.command("TRUNCATE TABLE coverage_functions")
    assert [each.table for each in differences(store, "night-1")] == ["coverage_functions"]
